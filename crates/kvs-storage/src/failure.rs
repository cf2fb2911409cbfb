//! A failed operation of a storage implementation: a message with the action, its object and the
//! cause, and whether a retry may help. Independent of the medium.

use std::io;
use std::sync::Arc;

use crate::disk::DiskError;

/// A failed operation. Cheap to clone, because one failure may be returned to many committers.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    text: Arc<str>,
    kind: io::ErrorKind,
    shortage: bool,
}

impl Failure {
    /// Creates a failure of `kind`. The text names the action, its object and the cause.
    #[must_use]
    pub fn new(kind: io::ErrorKind, text: impl Into<Arc<str>>) -> Self {
        let shortage = matches!(
            kind,
            io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::FileTooLarge
                | io::ErrorKind::OutOfMemory
        );
        Self {
            text: text.into(),
            kind,
            shortage,
        }
    }

    /// Returns the kind of the error that the system reported.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.kind
    }

    /// Returns whether a resource ran out that may become available again: space, quota,
    /// descriptors or memory. The stored data is intact, and a retry may succeed later.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        self.shortage
    }
}

impl From<DiskError> for Failure {
    fn from(error: DiskError) -> Self {
        Self {
            text: error.to_string().into(),
            kind: error.source.kind(),
            shortage: error.is_shortage(),
        }
    }
}
