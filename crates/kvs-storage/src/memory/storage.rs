//! Implements the storage trait in memory.

use std::fmt;
use std::sync::{Arc, Mutex};

use super::blobs::MemoryBlobStore;
use super::journal::MemoryJournal;
use super::medium::{Area, Fate, Medium, Shared, Weather, lock};
use super::root::MemoryRoot;
use crate::journal::JournalError;
use crate::root::RootError;
use crate::storage::{AcquireError, Owned, Storage};
use crate::term::{Ownership, Term};

/// An in-memory store. Clones share one store.
#[derive(Clone)]
pub struct MemoryStorage {
    shared: Shared,
}

impl fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStorage")
    }
}

impl MemoryStorage {
    /// Creates an empty store without faults. The seed decides everything left open.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Medium::new(seed))),
        }
    }

    /// Sets the fault rates from now on.
    pub fn set_weather(&self, weather: Weather) {
        lock(&self.shared).weather = weather;
    }

    /// Plans the fates of the next appends and settlements.
    pub fn plan(&self, fates: impl IntoIterator<Item = Fate>) {
        lock(&self.shared).planned.extend(fates);
    }

    /// Simulates a full store, or ends that.
    #[cfg(test)]
    pub(crate) fn set_full(&self, full: bool) {
        lock(&self.shared).full = full;
    }

    /// Delivers all appends in flight whose conditions still hold.
    #[cfg(test)]
    pub(crate) fn deliver(&self) {
        let mut medium = lock(&self.shared);
        for late in std::mem::take(&mut medium.late) {
            medium.arrive(late);
        }
    }
}

impl Storage for MemoryStorage {
    fn acquire(&self) -> Result<Owned, AcquireError> {
        let epoch = {
            let mut medium = lock(&self.shared);
            let epoch = medium.begin();
            if medium.slots.current.is_none() && medium.newest() > 0 {
                let (place, what) = ("in memory".to_owned(), "it is missing".to_owned());
                return Err(RootError::Corrupt { place, what }.into());
            }
            let from = medium.slots.current.as_ref().map_or(0, |root| root.group);
            if from < medium.before || from > medium.newest() {
                let what = format!("it does not reach from group {}", from + 1);
                let place = "in memory".to_owned();
                return Err(JournalError::Incomplete { place, what }.into());
            }
            epoch
        };
        let shared = self.shared.clone();
        let term = Term::new(move |_| lock(&shared).fenced(epoch.number));
        let journal = MemoryJournal::new(self.shared.clone());
        let root = MemoryRoot {
            shared: self.shared.clone(),
            epoch,
        };
        Ok(Owned {
            epoch,
            ownership: Ownership::new(term, || {}),
            root: Arc::new(root),
            journal: Box::new(journal),
            blobs: Arc::new(MemoryBlobStore::of(self.shared.clone(), Area::Trees)),
            state: Arc::new(MemoryBlobStore::of(self.shared.clone(), Area::State)),
        })
    }
}
