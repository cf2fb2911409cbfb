//! Packs that were made for a group which is not written yet.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::PackId;

/// Whether packs that were made are to be removed with what holds them.
pub(crate) type Unused = Arc<AtomicBool>;

/// Durable packs that nothing uses yet: the group that registers them is not written. Dropped, they
/// are removed.
#[must_use = "dropping it removes the packs"]
pub struct Joined {
    ids: Vec<PackId>,
    unused: Unused,
    made: Box<dyn Any + Send>,
}

impl fmt::Debug for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joined")
            .field("ids", &self.ids)
            .finish_non_exhaustive()
    }
}

impl Joined {
    /// Packs that an implementation made. When `made` is dropped it removes them if `unused` says
    /// so.
    pub(crate) fn new(ids: Vec<PackId>, unused: Unused, made: impl Any + Send) -> Self {
        let made = Box::new(made);
        Self { ids, unused, made }
    }

    /// The packs.
    #[must_use]
    pub fn ids(&self) -> &[PackId] {
        &self.ids
    }

    /// Leaves the packs as they are, unused: whether the group was written is not known.
    pub fn leave(self) {
        self.unused.store(false, Ordering::Relaxed);
    }

    /// What was made, for use.
    pub(crate) fn take<T: Any>(self) -> Option<T> {
        self.unused.store(false, Ordering::Relaxed);
        self.made.downcast().ok().map(|made| *made)
    }
}
