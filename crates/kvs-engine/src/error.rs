//! The one error type of the engine: a kind that tells the caller what to do, and a message that
//! names the key, namespace or object. Every layer below is folded into it here, so that a
//! session needs a single map from kinds to wire codes.

use kvs_tree::{TreeError, TreeErrorKind};

use crate::journal::JournalError;
use crate::pack::StoreError;
use crate::root::RootError;
use crate::storage::AcquireError;

/// What went wrong, in terms of what the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request itself is wrong; repeating it cannot help.
    Invalid,
    /// No such key.
    NotFound,
    /// A directory was needed where a value or a link stands.
    NotDirectory,
    /// A value was needed where a directory stands.
    IsDirectory,
    /// Append to a link.
    LinkAppend,
    /// A tree object that does not decode, or that names objects nobody has.
    BadObject,
    /// More links on the way than the limit.
    LinkLoop,
    /// A key, value or message over its limit.
    TooBig,
    /// The caller may not do this.
    Permission,
    /// No such namespace.
    NoNamespace,
    /// It exists already.
    Exists,
    /// A stream has ended.
    NoData,
    /// The version is older than what is retained.
    Compacted,
    /// The reference does not belong to this namespace's history.
    StaleSnapshot,
    /// A condition of the transaction does not hold; nothing was changed.
    ConditionFailed,
    /// The disk has no room; nothing was changed. Reads go on, and writes will when there is room.
    NoSpace,
    /// A limit of the store or the daemon would be passed; nothing was changed.
    Limit,
    /// Whether the transaction took effect is not known to this daemon.
    OutcomeUnknown,
    /// Too much is queued; try again.
    Busy,
    /// Stored data does not match its hash or checksum.
    Corrupt,
    /// The store takes no more requests: it is shutting down or was poisoned by a failed sync.
    Unavailable,
}

/// An engine error: what kind, and a message that names the key, namespace or object.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    /// What the caller can do about it.
    pub kind: ErrorKind,
    /// What failed and on what, for a person.
    pub message: String,
    /// What the disk said, if it was the disk that failed.
    pub disk: Option<std::io::ErrorKind>,
}

impl EngineError {
    /// An error of `kind` with its message.
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

/// Why a store has stopped by itself, for good: what was acknowledged is safe, and nothing more will be.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub struct Stopped {
    /// What kind of failure.
    pub cause: StopCause,
    /// The failure. Every later request is answered with its message.
    pub error: EngineError,
}

/// What stopped a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCause {
    /// The disk: whether something is on it is not known, or it can be neither written nor read.
    Disk,
    /// Damage was found in what is stored.
    Damage,
    /// A fault of the program: a part of it has ended, or does not agree with another.
    Internal,
}

impl Stopped {
    /// Whether a fault of the program has stopped it.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.cause == StopCause::Internal
    }

    /// The store stops because of a failed write, sync or checkpoint.
    pub(crate) fn by(error: &EngineError) -> Self {
        let cause = match error.kind {
            ErrorKind::Unavailable | ErrorKind::NoSpace => StopCause::Disk,
            ErrorKind::Corrupt => StopCause::Damage,
            _ => StopCause::Internal,
        };
        Self::new(cause, error.message.clone())
    }

    /// The store stops because of a fault of the program.
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
            // What either record needs is kept, so that may be tried again.
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
