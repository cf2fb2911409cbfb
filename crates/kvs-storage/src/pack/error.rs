//! What can go wrong with stored objects and the manifest that lists them.

use std::fmt;
use std::path::PathBuf;

use kvs_tree::Blobref;

use crate::disk::DiskError;

/// Names a pack within its store. Ids rise; the manifest lists those that are live.
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
    NoSpace(DiskError),
    /// The disk failed.
    #[error("{0}")]
    Disk(DiskError),
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
    /// A pack that the manifest lists cannot be used.
    #[error("pack {pack} ({}) is damaged: {what}", path.display())]
    CorruptPack {
        /// The pack.
        pack: PackId,
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A pack that the manifest lists is not there.
    #[error("pack {pack} ({}) is missing", path.display())]
    MissingPack {
        /// The pack.
        pack: PackId,
        /// Its file.
        path: PathBuf,
    },
    /// More than a limit allows.
    #[error("{0}")]
    Limit(String),
}

impl From<DiskError> for StoreError {
    fn from(error: DiskError) -> Self {
        if error.is_shortage() {
            Self::NoSpace(error)
        } else {
            Self::Disk(error)
        }
    }
}
