//! What a call can fail with.

use kvs_proto::{Advice, ErrorBody, ErrorCode, ProtocolError};

/// An error of a call: the daemon's answer, or what became of the connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{message}", code.text(), if message.is_empty() { "" } else { ": " })]
#[non_exhaustive]
pub struct ClientError {
    /// What kind of error; `code.text()` is its strerror text.
    pub code: ErrorCode,
    /// One sentence that names the key, operation or address. May be empty.
    pub message: String,
}

impl ClientError {
    /// An error of `code` with a message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        ClientError {
            code,
            message: message.into(),
        }
    }

    /// What the caller can do: fix the request, read again, retry, check the outcome, or call an
    /// operator.
    pub fn advice(&self) -> Advice {
        self.code.advice()
    }

    pub(crate) fn disconnected(message: impl Into<String>) -> Self {
        ClientError::new(ErrorCode::Disconnected, message)
    }
}

impl From<ErrorBody> for ClientError {
    fn from(body: ErrorBody) -> Self {
        let message = match body.kind() {
            ErrorCode::Other(_) => format!("{} {}", body.name, body.message),
            _ => body.message.clone(),
        };
        ClientError {
            code: body.kind(),
            message,
        }
    }
}

impl From<ProtocolError> for ClientError {
    fn from(error: ProtocolError) -> Self {
        let code = match error {
            ProtocolError::FrameTooLong { .. } => ErrorCode::TooBig,
            ProtocolError::OverLimit { code, .. } => code,
            ProtocolError::Io(_) => ErrorCode::Disconnected,
            _ => ErrorCode::BadRequest,
        };
        ClientError::new(code, error.to_string())
    }
}
