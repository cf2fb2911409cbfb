//! Errors of requests: the one map from the engine's error kinds to the protocol's codes. It has no
//! catch-all arm, so a new kind does not compile until it has a code.

use kvs_engine::{EngineError, ErrorKind};
use kvs_proto::{ErrorCode, ProtocolError};
use kvs_tree::TreeError;

/// The content of an error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The kind, for programs.
    pub(crate) code: ErrorCode,
    /// One sentence, for people.
    pub(crate) message: String,
}

impl Failure {
    /// A failure with its message.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Failure {
        Failure {
            code,
            message: message.into(),
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Failure {
        Failure::new(code_of(error.kind), error.message)
    }
}

impl From<TreeError> for Failure {
    fn from(error: TreeError) -> Failure {
        EngineError::from(error).into()
    }
}

impl From<ProtocolError> for Failure {
    fn from(error: ProtocolError) -> Failure {
        let code = match &error {
            ProtocolError::FrameTooLong { .. } => ErrorCode::TooBig,
            ProtocolError::Envelope | ProtocolError::Body { .. } => ErrorCode::BadRequest,
            ProtocolError::OverLimit { code, .. } => *code,
            ProtocolError::UnknownOp(_) => ErrorCode::UnknownOperation,
            ProtocolError::Io(_) => ErrorCode::Unavailable,
        };
        Failure::new(code, error.to_string())
    }
}

/// The code for an error kind.
fn code_of(kind: ErrorKind) -> ErrorCode {
    match kind {
        ErrorKind::Invalid => ErrorCode::Invalid,
        ErrorKind::NotFound => ErrorCode::NotFound,
        ErrorKind::NotDirectory => ErrorCode::NotDirectory,
        ErrorKind::IsDirectory => ErrorCode::IsDirectory,
        ErrorKind::LinkAppend => ErrorCode::LinkAppend,
        ErrorKind::BadObject => ErrorCode::BadObject,
        ErrorKind::LinkLoop => ErrorCode::LinkLoop,
        ErrorKind::TooBig => ErrorCode::TooBig,
        ErrorKind::Permission => ErrorCode::Permission,
        ErrorKind::NoNamespace => ErrorCode::NoNamespace,
        ErrorKind::Exists => ErrorCode::Exists,
        ErrorKind::NoData => ErrorCode::NoData,
        ErrorKind::Compacted => ErrorCode::Compacted,
        ErrorKind::StaleSnapshot => ErrorCode::StaleSnapshot,
        ErrorKind::ConditionFailed => ErrorCode::ConditionFailed,
        ErrorKind::NoSpace => ErrorCode::NoSpace,
        ErrorKind::Limit => ErrorCode::Limit,
        ErrorKind::OutcomeUnknown => ErrorCode::OutcomeUnknown,
        ErrorKind::Busy => ErrorCode::Busy,
        ErrorKind::Corrupt => ErrorCode::Corrupt,
        ErrorKind::Unavailable => ErrorCode::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The inverse of `code_of`. A code added to the protocol must be placed here, on one side or
    /// the other.
    fn kind_of(code: ErrorCode) -> Option<ErrorKind> {
        Some(match code {
            ErrorCode::Invalid => ErrorKind::Invalid,
            ErrorCode::NotFound => ErrorKind::NotFound,
            ErrorCode::NotDirectory => ErrorKind::NotDirectory,
            ErrorCode::IsDirectory => ErrorKind::IsDirectory,
            ErrorCode::LinkAppend => ErrorKind::LinkAppend,
            ErrorCode::BadObject => ErrorKind::BadObject,
            ErrorCode::LinkLoop => ErrorKind::LinkLoop,
            ErrorCode::TooBig => ErrorKind::TooBig,
            ErrorCode::Permission => ErrorKind::Permission,
            ErrorCode::NoNamespace => ErrorKind::NoNamespace,
            ErrorCode::Exists => ErrorKind::Exists,
            ErrorCode::NoData => ErrorKind::NoData,
            ErrorCode::Compacted => ErrorKind::Compacted,
            ErrorCode::StaleSnapshot => ErrorKind::StaleSnapshot,
            ErrorCode::ConditionFailed => ErrorKind::ConditionFailed,
            ErrorCode::NoSpace => ErrorKind::NoSpace,
            ErrorCode::Limit => ErrorKind::Limit,
            ErrorCode::OutcomeUnknown => ErrorKind::OutcomeUnknown,
            ErrorCode::Busy => ErrorKind::Busy,
            ErrorCode::Corrupt => ErrorKind::Corrupt,
            ErrorCode::Unavailable => ErrorKind::Unavailable,
            // Returned by the session itself, or never sent.
            ErrorCode::NotEmpty
            | ErrorCode::UnknownOperation
            | ErrorCode::BadRequest
            | ErrorCode::Cancelled
            | ErrorCode::ProtocolVersion
            | ErrorCode::Disconnected
            | ErrorCode::Other(_) => return None,
            other => panic!("{other:?} has no place here"),
        })
    }

    #[test]
    fn every_kind_has_a_code_of_its_own() {
        let mut kinds = 0;
        for code in ErrorCode::ALL {
            if let Some(kind) = kind_of(*code) {
                kinds += 1;
                assert_eq!(code_of(kind), *code, "{kind:?}");
            }
        }
        assert_eq!(kinds, 21);
    }

    #[test]
    fn the_message_is_passed_on() {
        let failure = Failure::from(EngineError::new(ErrorKind::NotFound, "no key a.b"));
        assert_eq!(failure, Failure::new(ErrorCode::NotFound, "no key a.b"));
    }
}
