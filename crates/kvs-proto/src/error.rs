//! What can be wrong with bytes from the other side.
//!
//! Errors of the framing end a connection; errors of a body are answered and the connection goes
//! on.

use crate::code::ErrorCode;
use thiserror::Error;

/// Why bytes could not be read as, or written as, a message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// A frame is longer than allowed. The connection cannot go on when it was received.
    #[error("a frame of {bytes} bytes is over the limit of {limit} bytes")]
    FrameTooLong {
        /// Length of the frame in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A frame does not begin with `[id, op or status, body]`. The connection cannot go on.
    #[error("a frame is not an array of id, operation and body")]
    Envelope,
    /// A body does not decode as what its operation takes. Answered `bad-request`.
    #[error("the body of {what} is malformed: {reason}")]
    Body {
        /// The operation or message.
        what: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// A body has more of something than it may; nothing of it was decoded. Answered with the code.
    #[error("{field} of {what}: {count} {unit}, at most {limit}")]
    OverLimit {
        /// The operation.
        what: &'static str,
        /// The field.
        field: String,
        /// How many there are.
        count: usize,
        /// Elements or bytes.
        unit: &'static str,
        /// How many there may be.
        limit: usize,
        /// How it is answered.
        code: ErrorCode,
    },
    /// The operation code is not known. Answered `unknown-operation`.
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
