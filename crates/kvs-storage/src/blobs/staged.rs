//! Objects that are not in a pack yet, because nobody knows whether what needs them will be
//! accepted.
//!
//! They are held in memory, or wherever an implementation keeps them. Once their transaction is
//! accepted they are *joined*: those of all transactions of a group become packs. Dropped before
//! that, they leave nothing.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use kvs_tree::Blobref;

use super::error::StoreError;

type Get = dyn Fn(&Blobref) -> Result<Option<Bytes>, StoreError> + Send + Sync;

/// Objects that an implementation keeps outside of memory.
struct Elsewhere {
    kept: Arc<dyn Any + Send + Sync>,
    bytes_to_copy: u64,
    get: Box<Get>,
}

/// Objects that wait to be joined. Dropping them leaves nothing behind.
#[derive(Default)]
pub struct Staged {
    memory: Vec<(Blobref, Bytes)>,
    elsewhere: Option<Elsewhere>,
    /// Dropped with the objects.
    _guard: Option<Box<dyn Any + Send + Sync>>,
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staged")
            .field("objects", &self.memory.len())
            .field("elsewhere", &self.elsewhere.is_some())
            .finish_non_exhaustive()
    }
}

impl Staged {
    /// Objects in memory.
    #[must_use]
    pub fn in_memory(memory: Vec<(Blobref, Bytes)>) -> Self {
        Self {
            memory,
            ..Self::default()
        }
    }

    /// Objects that `kept` holds, of which `get` reads one, verified. Joining them writes
    /// `bytes_to_copy` bytes.
    pub(crate) fn elsewhere<T: Any + Send + Sync>(
        kept: Arc<T>,
        bytes_to_copy: u64,
        get: impl Fn(&Blobref) -> Result<Option<Bytes>, StoreError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            elsewhere: Some(Elsewhere {
                kept,
                bytes_to_copy,
                get: Box::new(get),
            }),
            ..Self::default()
        }
    }

    /// The same objects, and `guard` dropped with them.
    #[must_use]
    pub fn with(self, guard: impl Any + Send + Sync) -> Self {
        Self {
            _guard: Some(Box::new(guard)),
            ..self
        }
    }

    pub(crate) fn memory(&self) -> &[(Blobref, Bytes)] {
        &self.memory
    }

    /// What an implementation keeps, if it is of this type.
    pub(crate) fn kept<T: Any>(&self) -> Option<&T> {
        self.elsewhere.as_ref()?.kept.downcast_ref()
    }

    /// Bytes that joining them writes, about.
    #[must_use]
    pub fn bytes_to_copy(&self) -> u64 {
        let memory = self.memory.iter().map(|(_, bytes)| bytes.len() as u64);
        let elsewhere = self.elsewhere.as_ref().map_or(0, |kept| kept.bytes_to_copy);
        memory.sum::<u64>() + elsewhere
    }

    /// One of the objects, verified.
    ///
    /// # Errors
    /// As for an object in a pack.
    pub fn get(&self, blobref: &Blobref) -> Result<Option<Bytes>, StoreError> {
        let mut memory = self.memory.iter();
        if let Some((_, bytes)) = memory.find(|(found, _)| found == blobref) {
            return Ok(Some(bytes.clone()));
        }
        self.elsewhere
            .as_ref()
            .map_or(Ok(None), |kept| (kept.get)(blobref))
    }
}
