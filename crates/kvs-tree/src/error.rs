//! Errors of the pure core: a kind that tells the caller what went wrong, and a message that names
//! the key or operation.

use thiserror::Error;

/// Why a pure step refused its input. The message is for people.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct TreeError {
    /// What kind of refusal: decides the error code that a client sees.
    pub kind: TreeErrorKind,
    /// Names the key, operation or object.
    pub message: String,
}

impl TreeError {
    /// An error of this kind.
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
    /// The request is not well formed (a key, a number, a move under itself).
    Invalid,
    /// A key that must exist does not.
    NotFound,
    /// A name on the way to the key is no directory, or a directory was asked for.
    NotDirectory,
    /// The key is a directory where a value was asked for.
    IsDirectory,
    /// An append to a symbolic link.
    LinkAppend,
    /// A tree object that a client sent is not valid.
    BadObject,
    /// More links than [`crate::LINK_DEPTH`] on the way.
    LinkLoop,
    /// A value is too long for what is asked.
    TooBig,
    /// A limit of [`crate::limits`] would be exceeded.
    Limit,
    /// A condition of the transaction does not hold.
    ConditionFailed,
    /// A write through a link into another namespace.
    CrossNamespace,
    /// Stored objects contradict each other or themselves.
    Corrupt,
}
