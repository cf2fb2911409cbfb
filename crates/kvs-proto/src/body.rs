//! Bodies by themselves: decoded whole, to a bounded depth, with nothing left over; encoded for
//! those that many frames share.

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

/// Encodes the body of an answer, to be sent behind `write_head` under as many ids as one likes.
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
        // The decoder does not tell how far it read; at the end, and only there, it finds no
        // marker.
        match IgnoredAny::deserialize(&mut decoder) {
            Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(value),
            _ => Err(ProtocolError::Body {
                what,
                reason: "bytes follow it".to_owned(),
            }),
        }
    })
}
