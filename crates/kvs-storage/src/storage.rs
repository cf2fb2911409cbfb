//! The storage seam: what the engine asks of whatever keeps a store (RFC 0009).

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
    /// Another owner has the store, or something that it takes is not to be had. Trying again later
    /// may succeed.
    #[error("{0}")]
    Busy(String),
    /// There is something else than a store, or a store of another format.
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

/// A store, on whatever medium. Everything else comes from [`acquire`](Self::acquire).
pub trait Storage: Send + Sync + fmt::Debug {
    /// Makes the caller the owner of the store, which is made if it is not there. When this
    /// returns, no write of an earlier owner takes effect any more.
    ///
    /// # Errors
    /// Nothing was changed, except that a store that was not there before may be there.
    fn acquire(&self) -> Result<Owned, AcquireError>;
}

/// A store that was acquired.
pub struct Owned {
    /// Above all epochs that left a trace in the store.
    pub epoch: Epoch,
    /// Keeps the store acquired. To be dropped last.
    pub ownership: Ownership,
    /// The root record.
    pub root: Arc<dyn RootRecord>,
    /// The journal, which reaches from the group after that of the current root record on.
    pub journal: Box<dyn Journal>,
    /// The blobs, none of which is in use before it is adopted.
    pub blobs: Arc<dyn BlobStore>,
    /// Blobs apart from those, for what the engine keeps beside its trees: neither relies on the
    /// other.
    pub state: Arc<dyn BlobStore>,
}

impl fmt::Debug for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owned")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}
