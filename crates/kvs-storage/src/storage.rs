//! The storage seam: the interface between the engine and a storage medium (RFC 0009).

use std::fmt;
use std::sync::Arc;

use crate::blobs::{BlobStore, StoreError};
use crate::disk::DiskError;
use crate::epoch::Epoch;
use crate::failure::Failure;
use crate::journal::{Journal, JournalError};
use crate::root::{RootError, RootRecord};
use crate::term::Ownership;

/// An error of acquiring a store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AcquireError {
    /// Another owner holds the store, or a required resource is unavailable. A retry may succeed
    /// later.
    #[error("{0}")]
    Busy(String),
    /// The location contains something else, or a store of an unsupported format.
    #[error("{0}")]
    NotAStore(String),
    /// The journal cannot be used.
    #[error("{0}")]
    Journal(#[from] JournalError),
    /// The blobs cannot be used.
    #[error("{0}")]
    Blobs(#[from] StoreError),
    /// The root record cannot be used.
    #[error("{0}")]
    Root(#[from] RootError),
    /// The medium failed.
    #[error("{0}")]
    Failed(#[from] Failure),
}

impl From<DiskError> for AcquireError {
    fn from(error: DiskError) -> Self {
        Self::Failed(error.into())
    }
}

/// A store on any medium. Everything else comes from [`acquire`](Self::acquire).
pub trait Storage: Send + Sync + fmt::Debug {
    /// Makes the caller the owner of the store, which is created if it does not exist. After this
    /// returns, no write of an earlier owner takes effect.
    ///
    /// # Errors
    /// Nothing was changed, except that a new store may have been created.
    fn acquire(&self) -> Result<Owned, AcquireError>;
}

/// An acquired store.
pub struct Owned {
    /// Higher than every earlier epoch recorded in the store.
    pub epoch: Epoch,
    /// Keeps the store acquired. Must be dropped last.
    pub ownership: Ownership,
    /// The root record.
    pub root: Arc<dyn RootRecord>,
    /// The journal. It contains all groups after that of the current root record.
    pub journal: Box<dyn Journal>,
    /// The blobs. None is in use before it is adopted.
    pub blobs: Arc<dyn BlobStore>,
    /// A separate blob store for what the engine keeps outside of its trees. Neither store relies
    /// on the other.
    pub state: Arc<dyn BlobStore>,
}

impl fmt::Debug for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owned")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}
