//! Pins on packs: a pinned pack must not be deleted, because a caller is about to rely on its
//! objects.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::blobs::PackId;

/// The number of pins on each pack.
#[derive(Debug, Default, Clone)]
pub(super) struct Pins(Arc<Mutex<BTreeMap<PackId, usize>>>);

/// Pins packs until it is dropped.
#[derive(Debug)]
pub(super) struct Pinned {
    pins: Pins,
    packs: Vec<PackId>,
}

impl Pins {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<PackId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pins these packs.
    pub(super) fn pin(&self, packs: Vec<PackId>) -> Pinned {
        let mut counts = self.lock();
        for pack in &packs {
            *counts.entry(*pack).or_default() += 1;
        }
        drop(counts);
        let pins = self.clone();
        Pinned { pins, packs }
    }

    /// Returns whether a pack is pinned.
    pub(super) fn has(&self, pack: PackId) -> bool {
        self.lock().contains_key(&pack)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let mut counts = self.pins.lock();
        for pack in &self.packs {
            if let Some(count) = counts.get_mut(pack) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(pack);
                }
            }
        }
    }
}
