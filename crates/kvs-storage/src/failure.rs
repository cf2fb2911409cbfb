//! A failed operation of whatever keeps a store: in words what failed and on what, and whether
//! trying again later may help. Nothing of it depends on the medium.

use std::io;
use std::sync::Arc;

use crate::disk::DiskError;

/// What failed. Cheap to clone, since one failure may answer many committers.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    text: Arc<str>,
    kind: io::ErrorKind,
    shortage: bool,
}

impl Failure {
    /// A failure of `kind`. The text says what could not be done, to what, and why.
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

    /// The kind of the error that the system reported.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.kind
    }

    /// Whether something ran out that may come back: space, a quota, descriptors, memory. Nothing
    /// is wrong with what is stored; trying again later may succeed.
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
