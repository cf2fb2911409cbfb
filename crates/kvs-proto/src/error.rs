//! What can be wrong with bytes from the other side.
//!
//! Errors of the framing end a connection; errors of a body are answered and the connection goes on.

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
