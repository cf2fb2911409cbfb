//! What can go wrong with stored objects.

use std::fmt;

use kvs_tree::Blobref;

use crate::disk::DiskError;
use crate::failure::Failure;

/// Names a pack within its store. Ids rise; the root record names those that are live.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct PackId(pub u32);

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}", self.0)
    }
}

/// An error of the blob store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The disk is full, or the process has no descriptor or memory for it. Nothing was changed;
    /// trying again works once there is.
    #[error("{0}")]
    NoSpace(Failure),
    /// The disk failed.
    #[error("{0}")]
    Disk(Failure),
    /// An object on disk is not what was written.
    #[error("object {blobref} in pack {pack} is damaged: {what}")]
    Corrupt {
        /// The pack.
        pack: PackId,
        /// The object.
        blobref: Blobref,
        /// What is wrong with it.
        what: String,
    },
    /// A pack that is named cannot be used.
    #[error("pack {pack} ({place}) is damaged: {what}")]
    CorruptPack {
        /// The pack.
        pack: PackId,
        /// Names the place where it is kept.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// A pack that is named is not there.
    #[error("pack {pack} ({place}) is missing")]
    MissingPack {
        /// The pack.
        pack: PackId,
        /// Names the place where it is kept.
        place: String,
    },
    /// A pin holds objects of the pack. Nothing was changed.
    #[error("pack {pack} is pinned")]
    Pinned {
        /// The pack.
        pack: PackId,
    },
    /// The caller does not own the store any more.
    #[error("{0}")]
    Fenced(Failure),
    /// More than a limit allows.
    #[error("{0}")]
    Limit(String),
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        if failure.is_shortage() {
            Self::NoSpace(failure)
        } else {
            Self::Disk(failure)
        }
    }
}

impl From<DiskError> for StoreError {
    fn from(error: DiskError) -> Self {
        Failure::from(error).into()
    }
}
