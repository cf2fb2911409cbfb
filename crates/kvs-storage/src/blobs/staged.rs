//! Objects that are not in a pack yet because their transaction is not accepted yet.
//!
//! They are held in memory or by the implementation. Once their transaction is accepted they are
//! *joined*: the objects of all transactions of a group are written into packs. Objects dropped
//! before that leave nothing behind.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use kvs_tree::Blobref;

use super::error::StoreError;

type Get = dyn Fn(&Blobref) -> Result<Option<Bytes>, StoreError> + Send + Sync;

/// Objects that an implementation holds outside of memory.
struct Elsewhere {
    kept: Arc<dyn Any + Send + Sync>,
    bytes_to_copy: u64,
    get: Box<Get>,
}

/// Objects waiting to be joined. Dropping them leaves nothing behind.
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
    /// Stages objects in memory.
    #[must_use]
    pub fn in_memory(memory: Vec<(Blobref, Bytes)>) -> Self {
        Self {
            memory,
            ..Self::default()
        }
    }

    /// Stages objects held by `kept`. `get` reads one of them, verified. Joining them writes
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

    /// Attaches `guard`, which is dropped together with the objects.
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

    /// Returns the value that an implementation staged, if it has this type.
    pub(crate) fn kept<T: Any>(&self) -> Option<&T> {
        self.elsewhere.as_ref()?.kept.downcast_ref()
    }

    /// Returns the approximate number of bytes that joining writes.
    #[must_use]
    pub fn bytes_to_copy(&self) -> u64 {
        let memory = self.memory.iter().map(|(_, bytes)| bytes.len() as u64);
        let elsewhere = self.elsewhere.as_ref().map_or(0, |kept| kept.bytes_to_copy);
        memory.sum::<u64>() + elsewhere
    }

    /// Returns one of the objects, verified.
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
