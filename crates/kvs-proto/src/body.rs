//! Decoding of bodies: whole, to a bounded depth, with nothing left over.

use crate::error::ProtocolError;
use crate::limits::BODY_DEPTH;
use crate::payload;
use bytes::Bytes;
use serde::de::{Deserialize, DeserializeOwned, IgnoredAny};

/// Decodes the body of an answer.
pub fn decode_body<T: DeserializeOwned>(body: &Bytes) -> Result<T, ProtocolError> {
    decode_named(body, "an answer")
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
        // The decoder does not tell how far it read; at the end, and only there, it finds no marker.
        match IgnoredAny::deserialize(&mut decoder) {
            Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(value),
            _ => Err(ProtocolError::Body {
                what,
                reason: "bytes follow it".to_owned(),
            }),
        }
    })
}
