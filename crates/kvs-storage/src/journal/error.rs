//! Journal errors, classified by what the caller can do.

use crate::disk::DiskError;
use crate::failure::Failure;

/// Number of a group. The first is 1, and numbers are consecutive; 0 means "none".
pub type GroupNumber = u64;

/// An error of a journal. Cheap to clone, because the failure of one group is returned to many
/// committers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// The disk is full, or the process is out of descriptors or memory. Nothing was written;
    /// appends succeed again once resources are available.
    #[error("{0}")]
    NoSpace(Failure),
    /// The disk failed.
    #[error("journal: {0}")]
    Disk(#[from] Failure),
    /// The caller no longer owns the store.
    #[error("journal: {0}")]
    Fenced(Failure),
    /// The group to follow is not the newest. Nothing was written.
    #[error("the group was to follow group {after}, but the newest is {newest}")]
    NotNext {
        /// The group that the caller assumed to be the newest.
        after: GroupNumber,
        /// The actual newest group.
        newest: GroupNumber,
    },
    /// The group exceeds `limits::GROUP_BYTES`. Nothing was written.
    #[error("a group of {bytes} bytes is over the limit of {limit}")]
    TooBig {
        /// Size of the payload in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// An earlier failure left the end of the journal unknown: no appends are possible until the
    /// store is opened again.
    #[error("the journal stopped after a failure: {reason}")]
    Poisoned {
        /// The first failure.
        reason: String,
    },
    /// Data on disk is corrupt.
    #[error("journal segment {segment} is damaged at offset {offset}: {what}")]
    Corrupt {
        /// Name of the segment.
        segment: String,
        /// Byte offset of the damaged group (0 for the header).
        offset: u64,
        /// Describes the damage.
        what: String,
    },
    /// A required segment is missing, or the journal does not connect to the root record.
    #[error("the journal in {place} is incomplete: {what}")]
    Incomplete {
        /// Name of the journal.
        place: String,
        /// Describes what is missing.
        what: String,
    },
    /// The group was trimmed.
    #[error("the group is trimmed; the oldest kept is {oldest}")]
    Trimmed {
        /// The oldest readable group (newest + 1 if there is none).
        oldest: GroupNumber,
    },
}

impl JournalError {
    /// Maps a shortage to [`JournalError::NoSpace`] and any other failure to
    /// [`JournalError::Disk`].
    #[must_use]
    pub(crate) fn from_failure(failure: Failure) -> Self {
        if failure.is_shortage() {
            Self::NoSpace(failure)
        } else {
            Self::Disk(failure)
        }
    }
}

impl From<DiskError> for JournalError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error.into())
    }
}
