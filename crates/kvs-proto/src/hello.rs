//! The handshake: the first request of every connection.

use crate::body::decode_named;
use crate::bounds;
use crate::error::ProtocolError;
use crate::position::Position;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Opens a connection. Any other first request is answered `protocol-version`, and the connection
/// is closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Protocol versions that the client speaks, in any order.
    pub versions: Vec<u32>,
    /// The client's id, 16 random bytes: the scope of its transaction numbers. Keep it across
    /// reconnects.
    #[serde(with = "client_id")]
    pub client: [u8; 16],
    /// Namespaces whose positions the answer should carry. Unknown or forbidden ones are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<SmolStr>,
    /// The client's name and version, for logs. May be empty.
    #[serde(default)]
    pub software: SmolStr,
}

/// Decodes only the offered versions of a hello: in another version its other fields may have
/// another form.
///
/// # Errors
/// If it exceeds a limit or has no array `versions`.
pub fn offered_versions(body: &Bytes) -> Result<Vec<u32>, ProtocolError> {
    #[derive(Deserialize)]
    struct Offer {
        versions: Vec<u32>,
    }
    bounds::check("hello", body)?;
    decode_named::<Offer>(body, "hello").map(|offer| offer.versions)
}

/// Decodes only the version of an answer to hello: in another version its other fields may have
/// another form.
pub fn answered_version(body: &Bytes) -> Option<u32> {
    #[derive(Deserialize)]
    struct Answered {
        version: u32,
    }
    let answered = decode_named::<Answered>(body, "an answer").ok()?;
    Some(answered.version)
}

/// The answer to `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloAnswer {
    /// The newest protocol version that both sides speak.
    pub version: u32,
    /// The user id of the client's process, from the kernel; it decides the rights of the requests.
    pub uid: u32,
    /// Hash algorithm of the store: `blake3` or `sha1`.
    pub algorithm: SmolStr,
    /// The daemon's name and version.
    #[serde(default)]
    pub software: SmolStr,
    /// The limits of this connection.
    pub limits: ServerLimits,
    /// Positions of the requested namespaces.
    #[serde(default)]
    pub positions: Vec<NamespacePosition>,
    /// Whether the daemon serves a single command only: after it exits, nothing starts it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub temporary: bool,
}

/// Limits that a daemon enforces on a connection; for meaning and units see `limits.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerLimits {
    /// Maximum bytes in a frame, in either direction.
    pub frame_bytes: u64,
    /// Maximum nesting of a body.
    pub body_depth: u64,
    /// Maximum unanswered requests.
    pub requests_in_flight: u64,
    /// Maximum open streams.
    pub streams: u64,
    /// Maximum credit of a stream, in items.
    pub stream_credit: u64,
    /// Maximum credit of a stream, in bytes.
    #[serde(default = "stream_credit_bytes")]
    pub stream_credit_bytes: u64,
}

fn stream_credit_bytes() -> u64 {
    crate::limits::STREAM_CREDIT_BYTES
}

impl Default for ServerLimits {
    fn default() -> Self {
        ServerLimits {
            frame_bytes: crate::limits::FRAME_BYTES as u64,
            body_depth: crate::limits::BODY_DEPTH as u64,
            requests_in_flight: crate::limits::REQUESTS_IN_FLIGHT as u64,
            streams: crate::limits::STREAMS as u64,
            stream_credit: crate::limits::STREAM_CREDIT,
            stream_credit_bytes: stream_credit_bytes(),
        }
    }
}

/// The newest position of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespacePosition {
    /// The namespace.
    pub namespace: SmolStr,
    /// Its newest durable position.
    pub position: Position,
}

/// Encodes 16 bytes as `bin`.
mod client_id {
    use bytes::Bytes;
    use serde::de::{Deserializer, Error};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(id: &[u8; 16], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 16], D::Error> {
        let bytes: Bytes = crate::payload::deserialize(d)?;
        <[u8; 16]>::try_from(bytes.as_ref())
            .map_err(|_| D::Error::custom("a client id has 16 bytes"))
    }
}
