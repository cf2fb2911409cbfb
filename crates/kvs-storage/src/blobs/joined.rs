//! Packs written for a group that is not yet in the journal.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::PackId;

/// Set while the packs are unused: they are then removed when their holder is dropped.
pub(crate) type Unused = Arc<AtomicBool>;

/// Durable packs that are not in use, because the group that registers them is not written yet.
/// Dropping this removes them.
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
    /// Wraps packs that an implementation wrote. Dropping `made` must remove them if `unused` is
    /// set.
    pub(crate) fn new(ids: Vec<PackId>, unused: Unused, made: impl Any + Send) -> Self {
        let made = Box::new(made);
        Self { ids, unused, made }
    }

    /// Ids of the packs.
    #[must_use]
    pub fn ids(&self) -> &[PackId] {
        &self.ids
    }

    /// Keeps the packs without using them: it is unknown whether the group was written.
    pub fn leave(self) {
        self.unused.store(false, Ordering::Relaxed);
    }

    /// Returns the implementation's value, to take the packs into use.
    pub(crate) fn take<T: Any>(self) -> Option<T> {
        self.unused.store(false, Ordering::Relaxed);
        self.made.downcast().ok().map(|made| *made)
    }
}
