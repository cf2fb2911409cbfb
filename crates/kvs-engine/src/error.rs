//! The engine's only error type: a kind that tells the caller what to do, and a message that names
//! the key, namespace or object. All lower-level errors are converted here, so sessions need a
//! single map from kinds to wire codes.

use kvs_tree::{TreeError, TreeErrorKind};

use crate::journal::JournalError;
use crate::pack::StoreError;
use crate::root::RootError;
use crate::storage::AcquireError;

/// The kind of an error, by what the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong; do not repeat it.
    Invalid,
    /// The key does not exist.
    NotFound,
    /// A directory is required, but there is a value or a link.
    NotDirectory,
    /// A value is required, but there is a directory.
    IsDirectory,
    /// Cannot append to a link.
    LinkAppend,
    /// A tree object does not decode, or refers to objects that do not exist.
    BadObject,
    /// More links on the way than the limit.
    LinkLoop,
    /// A key, value or message exceeds its limit.
    TooBig,
    /// The caller may not do this.
    Permission,
    /// The namespace does not exist.
    NoNamespace,
    /// The object to create exists already.
    Exists,
    /// The stream has ended.
    NoData,
    /// The version is older than the oldest retained one.
    Compacted,
    /// The reference does not belong to this namespace's history.
    StaleSnapshot,
    /// A condition of the transaction does not hold; nothing was changed.
    ConditionFailed,
    /// The disk is full; nothing was changed. Reads continue; writes succeed again once there is
    /// space.
    NoSpace,
    /// A limit of the store or daemon would be exceeded; nothing was changed.
    Limit,
    /// This daemon cannot tell whether the transaction took effect.
    OutcomeUnknown,
    /// Too much is queued; try again.
    Busy,
    /// Stored data does not match its hash or checksum.
    Corrupt,
    /// The store accepts no more requests: it is shutting down, or a failed sync poisoned it.
    Unavailable,
}

/// An error of the engine. Its message is meant for people and names the object concerned.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    /// What the caller can do about it.
    pub kind: ErrorKind,
    /// What failed, on which object.
    pub message: String,
    /// The I/O error of the disk, if that was the cause.
    pub disk: Option<std::io::ErrorKind>,
}

impl EngineError {
    /// Creates an error that was not caused by the disk.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            disk: None,
        }
    }

    pub(crate) fn no_namespace(name: &str) -> Self {
        Self::new(
            ErrorKind::NoNamespace,
            format!("namespace {name} does not exist"),
        )
    }

    pub(crate) fn stopped() -> Self {
        Self::new(ErrorKind::Unavailable, "the store is shutting down")
    }

    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }
}

/// Why a store stopped by itself. Everything acknowledged is safe; nothing more will be
/// acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub struct Stopped {
    /// The kind of failure.
    pub cause: StopCause,
    /// The failure. Every later request is answered with its message.
    pub error: EngineError,
}

/// The cause of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCause {
    /// The disk: it can be neither written nor read, or what it contains is unknown.
    Disk,
    /// Damage was found in stored data.
    Damage,
    /// A bug: a task ended, or two parts of the program disagree.
    Internal,
}

impl Stopped {
    /// Whether a bug stopped the store.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.cause == StopCause::Internal
    }

    /// Stops the store because of a failed write, sync or checkpoint.
    pub(crate) fn by(error: &EngineError) -> Self {
        let cause = match error.kind {
            ErrorKind::Unavailable | ErrorKind::NoSpace => StopCause::Disk,
            ErrorKind::Corrupt => StopCause::Damage,
            _ => StopCause::Internal,
        };
        Self::new(cause, error.message.clone())
    }

    /// Stops the store because of a bug.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StopCause::Internal, message)
    }

    fn new(cause: StopCause, message: impl Into<String>) -> Self {
        let error = EngineError::new(ErrorKind::Unavailable, message);
        Self { cause, error }
    }
}

impl From<TreeError> for EngineError {
    fn from(error: TreeError) -> Self {
        let kind = match error.kind {
            TreeErrorKind::Invalid | TreeErrorKind::CrossNamespace => ErrorKind::Invalid,
            TreeErrorKind::NotFound => ErrorKind::NotFound,
            TreeErrorKind::NotDirectory => ErrorKind::NotDirectory,
            TreeErrorKind::IsDirectory => ErrorKind::IsDirectory,
            TreeErrorKind::LinkAppend => ErrorKind::LinkAppend,
            TreeErrorKind::BadObject => ErrorKind::BadObject,
            TreeErrorKind::LinkLoop => ErrorKind::LinkLoop,
            TreeErrorKind::TooBig => ErrorKind::TooBig,
            TreeErrorKind::Limit => ErrorKind::Limit,
            TreeErrorKind::ConditionFailed => ErrorKind::ConditionFailed,
            TreeErrorKind::Corrupt => ErrorKind::Corrupt,
        };
        Self {
            kind,
            message: error.message,
            disk: None,
        }
    }
}

impl From<JournalError> for EngineError {
    fn from(error: JournalError) -> Self {
        let kind = match &error {
            JournalError::NoSpace(_) => ErrorKind::NoSpace,
            JournalError::TooBig { .. } => ErrorKind::TooBig,
            JournalError::Corrupt { .. } | JournalError::Incomplete { .. } => ErrorKind::Corrupt,
            JournalError::Trimmed { .. } => ErrorKind::Compacted,
            JournalError::Disk(_)
            | JournalError::Fenced(_)
            | JournalError::NotNext { .. }
            | JournalError::Poisoned { .. } => ErrorKind::Unavailable,
        };
        let disk = match &error {
            JournalError::NoSpace(error)
            | JournalError::Disk(error)
            | JournalError::Fenced(error) => Some(error.kind()),
            _ => None,
        };
        Self {
            kind,
            message: error.to_string(),
            disk,
        }
    }
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::NoSpace(_) => ErrorKind::NoSpace,
            StoreError::Disk(_) | StoreError::Fenced(_) => ErrorKind::Unavailable,
            StoreError::Pinned { .. } => ErrorKind::Busy,
            StoreError::Corrupt { .. }
            | StoreError::CorruptPack { .. }
            | StoreError::MissingPack { .. } => ErrorKind::Corrupt,
            StoreError::Limit(_) => ErrorKind::Limit,
        };
        let disk = match &error {
            StoreError::NoSpace(error) | StoreError::Disk(error) | StoreError::Fenced(error) => {
                Some(error.kind())
            }
            _ => None,
        };
        Self {
            kind,
            message: error.to_string(),
            disk,
        }
    }
}

impl From<RootError> for EngineError {
    fn from(error: RootError) -> Self {
        let kind = match &error {
            RootError::NoSpace(_) => ErrorKind::NoSpace,
            // Everything that either root record needs is kept, so the swap can be retried.
            RootError::Unknown(failure) if failure.is_shortage() => ErrorKind::NoSpace,
            RootError::NotSwapped(_)
            | RootError::Conflict { .. }
            | RootError::Unknown(_)
            | RootError::Fenced(_) => ErrorKind::Unavailable,
            RootError::Corrupt { .. } => ErrorKind::Corrupt,
            RootError::TooBig { .. } => ErrorKind::Limit,
        };
        let disk = match &error {
            RootError::NoSpace(error)
            | RootError::NotSwapped(error)
            | RootError::Unknown(error)
            | RootError::Fenced(error) => Some(error.kind()),
            _ => None,
        };
        Self {
            kind,
            message: error.to_string(),
            disk,
        }
    }
}

impl From<AcquireError> for EngineError {
    fn from(error: AcquireError) -> Self {
        match error {
            AcquireError::Busy(message) => Self::new(ErrorKind::Busy, message),
            AcquireError::NotAStore(message) => Self::new(ErrorKind::Corrupt, message),
            AcquireError::Journal(error) => error.into(),
            AcquireError::Blobs(error) => error.into(),
            AcquireError::Root(error) => error.into(),
            AcquireError::Failed(failure) => {
                let kind = match failure.is_shortage() {
                    true => ErrorKind::NoSpace,
                    false => ErrorKind::Unavailable,
                };
                Self {
                    kind,
                    message: failure.to_string(),
                    disk: Some(failure.kind()),
                }
            }
        }
    }
}
