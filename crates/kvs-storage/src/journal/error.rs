//! What can go wrong with a journal, by what the caller can do about it.

use std::path::PathBuf;

use crate::disk::DiskError;

/// Number of a group. The first is 1, each next one more; 0 means "none".
pub type GroupNumber = u64;

/// An error of a journal. Cheap to clone, since one failed group answers many committers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// The disk is full, or the process has no descriptor or memory for it. Nothing was written;
    /// appending works again once there is.
    #[error("{0}")]
    NoSpace(DiskError),
    /// The disk failed.
    #[error("journal: {0}")]
    Disk(#[from] DiskError),
    /// The group was to follow another than the newest. Nothing was written.
    #[error("the group was to follow group {after}, but the newest is {newest}")]
    NotNext {
        /// What the caller took for the newest group.
        after: GroupNumber,
        /// The newest group.
        newest: GroupNumber,
    },
    /// The group exceeds [`limits::GROUP_BYTES`](crate::limits::GROUP_BYTES). Nothing was written.
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
    #[error("journal segment {} is damaged at offset {offset}: {what}", path.display())]
    Corrupt {
        /// The segment file.
        path: PathBuf,
        /// Byte offset of the group (or of the header, 0) that is damaged.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A segment that must exist does not, or the journal does not join the manifest.
    #[error("the journal in {} is incomplete: {what}", dir.display())]
    Incomplete {
        /// The journal's directory.
        dir: PathBuf,
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
    /// Sorts a disk error into "full" and everything else.
    pub fn from_disk(error: DiskError) -> Self {
        if error.is_shortage() {
            Self::NoSpace(error)
        } else {
            Self::Disk(error)
        }
    }
}
