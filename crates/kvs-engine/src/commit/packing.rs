//! The packs of a group. What its transactions staged is durable in packs before the group is
//! written.

use std::sync::Arc;

use crate::error::EngineError;
use crate::journal::Appended;
use crate::pack::{Joined, PackId, Staged};
use crate::state::Record;
use crate::store::Store;

/// The packs that a group registers. Packs made for it are removed if this is dropped before
/// [`settle`](Self::settle).
pub(super) struct Packs<'a> {
    store: &'a Store,
    made: Option<Joined>,
    /// In use but not registered in the journal yet, so the group must register them to rely on
    /// them.
    found: Vec<PackId>,
}

impl<'a> Packs<'a> {
    /// Makes packs of what was staged for the group, and finds other packs that it must register.
    pub(super) fn of(store: &'a Store, staged: &[Arc<Staged>]) -> Result<Self, EngineError> {
        let mut packs = Self {
            store,
            made: None,
            found: Vec::new(),
        };
        if staged.is_empty() {
            return Ok(packs);
        }
        let blobs = store.objects.store();
        let staged: Vec<&Staged> = staged.iter().map(Arc::as_ref).collect();
        packs.made = Some(blobs.join(&staged)?);
        packs.found = store.new_packs();
        Ok(packs)
    }

    fn ids(&self) -> Vec<PackId> {
        let made = self.made.as_ref().map(Joined::ids).unwrap_or_default();
        made.iter().chain(&self.found).copied().collect()
    }

    pub(super) fn records(&self) -> Vec<Record> {
        let ids = self.ids().into_iter();
        ids.map(|pack| Record::PackAdded { pack }).collect()
    }

    /// Settles the packs by the group's fate: written, not written, or unknown.
    pub(super) fn settle(&mut self, appended: &Appended) -> Vec<PackId> {
        let ids = self.ids();
        let made = self.made.take();
        match appended {
            Appended::Done(_) => {
                let made = made.filter(|made| !made.ids().is_empty());
                if let Some(made) = made {
                    self.store.register(made.ids());
                    self.store.objects.store().publish(made);
                }
                self.found.clear();
            }
            Appended::NotWritten(_) => drop(made),
            Appended::Unknown(_) | Appended::Fenced(_) => made.into_iter().for_each(Joined::leave),
        }
        ids
    }
}

impl Drop for Packs<'_> {
    fn drop(&mut self) {
        self.store.unregister(&self.found);
    }
}
