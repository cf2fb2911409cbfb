//! Errors of stored objects.

use std::fmt;

use kvs_tree::Blobref;

use crate::disk::DiskError;
use crate::failure::Failure;

/// Identifies a pack within its store. Ids ascend; the root record lists the live ones.
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
    /// The disk is full, or the process is out of descriptors or memory. Nothing was changed; a
    /// retry succeeds once resources are available.
    #[error("{0}")]
    NoSpace(Failure),
    /// The disk failed.
    #[error("{0}")]
    Disk(Failure),
    /// The stored bytes of an object do not match its hash.
    #[error("object {blobref} in pack {pack} is damaged: {what}")]
    Corrupt {
        /// The pack that holds the object.
        pack: PackId,
        /// The damaged object.
        blobref: Blobref,
        /// Describes the damage.
        what: String,
    },
    /// A pack that must be opened is damaged.
    #[error("pack {pack} ({place}) is damaged: {what}")]
    CorruptPack {
        /// The damaged pack.
        pack: PackId,
        /// The location of the pack, for messages.
        place: String,
        /// Describes the damage.
        what: String,
    },
    /// A pack that must be opened does not exist.
    #[error("pack {pack} ({place}) is missing")]
    MissingPack {
        /// The missing pack.
        pack: PackId,
        /// The expected location of the pack, for messages.
        place: String,
    },
    /// A pin protects objects of the pack. Nothing was changed.
    #[error("pack {pack} is pinned")]
    Pinned {
        /// The pinned pack.
        pack: PackId,
    },
    /// The caller no longer owns the store.
    #[error("{0}")]
    Fenced(Failure),
    /// A limit was exceeded.
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
