//! Bodies without their frames. Decoding requires the whole input and bounds the depth; encoding
//! serves bodies that many frames share.

use crate::error::ProtocolError;
use crate::limits::BODY_DEPTH;
use crate::payload;
use bytes::Bytes;
use serde::de::{Deserialize, DeserializeOwned, IgnoredAny};
use serde::ser::Serialize;

/// Decodes the body of an answer.
pub fn decode_body<T: DeserializeOwned>(body: &Bytes) -> Result<T, ProtocolError> {
    decode_named(body, "an answer")
}

/// Encodes the body of an answer, to be sent after `write_head`, under any number of ids.
pub fn encode_body<T: Serialize>(body: &T) -> Result<Bytes, ProtocolError> {
    match rmp_serde::to_vec_named(body) {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) => Err(ProtocolError::Body {
            what: "answer",
            reason: error.to_string(),
        }),
    }
}

pub(crate) fn decode_named<T: DeserializeOwned>(
    body: &Bytes,
    what: &'static str,
) -> Result<T, ProtocolError> {
    payload::sharing(body, || {
        let mut decoder = rmp_serde::Deserializer::from_read_ref(body.as_ref());
        decoder.set_max_depth(BODY_DEPTH);
        let value = T::deserialize(&mut decoder).map_err(|error| ProtocolError::Body {
            what,
            reason: error.to_string(),
        })?;
        // The decoder does not report how far it read; it fails to find a marker only at the end of
        // the input.
        match IgnoredAny::deserialize(&mut decoder) {
            Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(value),
            _ => Err(ProtocolError::Body {
                what,
                reason: "bytes follow it".to_owned(),
            }),
        }
    })
}
