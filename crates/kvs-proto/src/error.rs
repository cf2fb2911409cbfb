//! Errors in bytes from the peer.
//!
//! Framing errors end a connection. Errors in a body are answered, and the connection continues.

use crate::code::ErrorCode;
use thiserror::Error;

/// Why bytes could not be decoded, or a message could not be encoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// A frame is longer than allowed. If it was received, the connection cannot continue.
    #[error("a frame of {bytes} bytes is over the limit of {limit} bytes")]
    FrameTooLong {
        /// Length of the frame in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A frame does not begin with `[id, op or status, body]`. The connection cannot continue.
    #[error("a frame is not an array of id, operation and body")]
    Envelope,
    /// A body does not decode as its operation requires. Answered `bad-request`.
    #[error("the body of {what} is malformed: {reason}")]
    Body {
        /// The operation or message.
        what: &'static str,
        /// The decoder's message.
        reason: String,
    },
    /// A field of a body exceeds its limit; nothing was decoded. Answered with `code`.
    #[error("{field} of {what}: {count} {unit}, at most {limit}")]
    OverLimit {
        /// The operation.
        what: &'static str,
        /// The field.
        field: String,
        /// The actual number.
        count: usize,
        /// `elements` or `bytes`.
        unit: &'static str,
        /// The maximum.
        limit: usize,
        /// The code of the answer.
        code: ErrorCode,
    },
    /// The operation code is unknown. Answered `unknown-operation`.
    #[error("operation {0} is not known")]
    UnknownOp(u64),
    /// The stream ended or failed.
    #[error("connection: {0}")]
    Io(String),
}

impl From<std::io::Error> for ProtocolError {
    fn from(error: std::io::Error) -> Self {
        ProtocolError::Io(error.to_string())
    }
}
