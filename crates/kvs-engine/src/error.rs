//! The one error type of the engine: a kind that tells the caller what to do, and a message that
//! names the key, namespace or object. Every layer below is folded into it here, so that a
//! session needs a single map from kinds to wire codes.

use kvs_tree::{TreeError, TreeErrorKind};

use crate::journal::JournalError;
use crate::manifest::ManifestError;
use crate::pack::StoreError;
use crate::store_dir::StoreDirectoryError;

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
}

impl EngineError {
    /// An error of `kind` with its message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
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
            | JournalError::NotNext { .. }
            | JournalError::Poisoned { .. } => ErrorKind::Unavailable,
        };
        Self {
            kind,
            message: error.to_string(),
        }
    }
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::NoSpace(_) => ErrorKind::NoSpace,
            StoreError::Disk(_) => ErrorKind::Unavailable,
            StoreError::Corrupt { .. }
            | StoreError::CorruptPack { .. }
            | StoreError::MissingPack { .. } => ErrorKind::Corrupt,
            StoreError::Limit(_) => ErrorKind::Limit,
        };
        Self {
            kind,
            message: error.to_string(),
        }
    }
}

impl From<ManifestError> for EngineError {
    fn from(error: ManifestError) -> Self {
        let kind = match &error {
            ManifestError::NoSpace(_) => ErrorKind::NoSpace,
            ManifestError::Disk(_) | ManifestError::Unknown(_) => ErrorKind::Unavailable,
            ManifestError::Corrupt { .. } => ErrorKind::Corrupt,
            ManifestError::TooBig { .. } => ErrorKind::Limit,
        };
        Self {
            kind,
            message: error.to_string(),
        }
    }
}

impl From<StoreDirectoryError> for EngineError {
    fn from(error: StoreDirectoryError) -> Self {
        let kind = match &error {
            StoreDirectoryError::InUse { .. } => ErrorKind::Busy,
            StoreDirectoryError::NotAStore { .. } => ErrorKind::Corrupt,
            StoreDirectoryError::Disk(_) => ErrorKind::Unavailable,
        };
        Self {
            kind,
            message: error.to_string(),
        }
    }
}
