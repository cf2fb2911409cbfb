//! Errors of the pure core: a kind, which determines how the caller reacts, and a message that
//! names the key or operation.

use thiserror::Error;

/// Why a pure step refused its input. The message is for humans.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct TreeError {
    /// Determines the error code that a client sees.
    pub kind: TreeErrorKind,
    /// Names the key, operation or object.
    pub message: String,
}

impl TreeError {
    /// An error of this kind, with a message.
    pub fn new(kind: TreeErrorKind, message: impl Into<String>) -> Self {
        TreeError {
            kind,
            message: message.into(),
        }
    }
}

/// The kinds of [`TreeError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TreeErrorKind {
    /// The request is malformed (a key, a number, a move below itself).
    Invalid,
    /// A key that must exist does not.
    NotFound,
    /// A name on the path is not a directory, or the key is not one where a directory was
    /// requested.
    NotDirectory,
    /// The key is a directory where a value was requested.
    IsDirectory,
    /// An append to a symbolic link.
    LinkAppend,
    /// A tree object sent by a client is not valid.
    BadObject,
    /// The path has more links than [`crate::LINK_DEPTH`].
    LinkLoop,
    /// The value is too long for the operation.
    TooBig,
    /// The operation would exceed a limit of [`crate::limits`].
    Limit,
    /// A condition of the transaction does not hold.
    ConditionFailed,
    /// A write through a link into another namespace.
    CrossNamespace,
    /// Stored objects are inconsistent, in themselves or with each other.
    Corrupt,
}
