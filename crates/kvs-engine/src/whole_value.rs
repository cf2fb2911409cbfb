//! Decodes MessagePack values that fill their bytes; excessive nesting and trailing bytes are
//! errors.

use serde::de::DeserializeOwned;

use crate::limits::RECORD_DEPTH;

/// Decodes one value from all of `bytes`. The error is a reason for a message.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut decoder = rmp_serde::Deserializer::new(std::io::Cursor::new(bytes));
    decoder.set_max_depth(RECORD_DEPTH);
    let value = T::deserialize(&mut decoder).map_err(|error| error.to_string())?;
    if decoder.position() != bytes.len() as u64 {
        return Err("it has trailing bytes".to_owned());
    }
    Ok(value)
}
