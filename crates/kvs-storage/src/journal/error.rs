//! What can go wrong with a journal, by what the caller can do about it.

use crate::disk::DiskError;
use crate::failure::Failure;

/// Number of a group. The first is 1, each next one more; 0 means "none".
pub type GroupNumber = u64;

/// An error of a journal. Cheap to clone, since one failed group answers many committers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// The disk is full, or the process has no descriptor or memory for it. Nothing was written;
    /// appending works again once there is.
    #[error("{0}")]
    NoSpace(Failure),
    /// The disk failed.
    #[error("journal: {0}")]
    Disk(#[from] Failure),
    /// The caller does not own the store any more.
    #[error("journal: {0}")]
    Fenced(Failure),
    /// The group was to follow another than the newest. Nothing was written.
    #[error("the group was to follow group {after}, but the newest is {newest}")]
    NotNext {
        /// What the caller took for the newest group.
        after: GroupNumber,
        /// The newest group.
        newest: GroupNumber,
    },
    /// The group exceeds `limits::GROUP_BYTES`. Nothing was written.
    #[error("a group of {bytes} bytes is over the limit of {limit}")]
    TooBig {
        /// Bytes of the payload.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// An earlier failure left the end of the journal unknown: nothing is appended any more until
    /// the store is opened again.
    #[error("the journal stopped after a failure: {reason}")]
    Poisoned {
        /// The first failure.
        reason: String,
    },
    /// Data on disk is not what was written.
    #[error("journal segment {segment} is damaged at offset {offset}: {what}")]
    Corrupt {
        /// Names the segment.
        segment: String,
        /// Byte offset of the group (or of the header, 0) that is damaged.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A segment that must exist does not, or the journal does not join the root record.
    #[error("the journal in {place} is incomplete: {what}")]
    Incomplete {
        /// Names the journal.
        place: String,
        /// What is missing.
        what: String,
    },
    /// The group was trimmed.
    #[error("the group is trimmed; the oldest kept is {oldest}")]
    Trimmed {
        /// The oldest group that can be read (newest + 1 when there is none).
        oldest: GroupNumber,
    },
}

impl JournalError {
    /// Sorts a failure into "full" and everything else.
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
