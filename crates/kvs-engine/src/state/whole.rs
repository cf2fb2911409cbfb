//! The whole state, and its accessors.

use std::sync::Arc;

use kvs_tree::{Blobref, Directory, StoreParams};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::namespace::NamespaceState;
use super::persistent::Map;
use super::sixteen_bytes;
use crate::request::Pin;

/// The state of a store outside its trees, as of one group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    pub(super) group: u64,
    pub(super) age_ms: u64,
    pub(super) stamp: u64,
    /// By number. An epoch made all groups from its first one up to that of the next epoch.
    pub(super) epochs: Map<u64, EpochState>,
    /// The group of the last recorded checkpoint, and the root of the state that it wrote.
    pub(super) checkpoint: Option<(u64, Blobref)>,
    /// Groups up to this one may have been dropped.
    pub(super) trimmed_to: u64,
    /// The root of an empty namespace with the parameters of the store.
    pub(super) empty_root: Blobref,
    pub(super) namespaces: Map<SmolStr, NamespaceState>,
    pub(super) pins: Map<u64, Arc<Pin>>,
    pub(super) last_pin: u64,
    pub(super) changed: Changed,
}

/// An epoch that made groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EpochState {
    /// Random.
    #[serde(with = "sixteen_bytes")]
    pub(crate) id: [u8; 16],
    /// The first group that it made.
    pub(crate) group: u64,
}

/// What changed since the state was last written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Changed {
    pub(crate) namespaces: Map<SmolStr, ()>,
    pub(crate) pins: Map<u64, ()>,
}

impl Default for Changed {
    fn default() -> Self {
        Self {
            namespaces: Map::new_sync(),
            pins: Map::new_sync(),
        }
    }
}

impl State {
    /// The state of a new store.
    pub(crate) fn new(params: &StoreParams) -> Self {
        Self {
            group: 0,
            age_ms: 0,
            stamp: 0,
            epochs: Map::new_sync(),
            checkpoint: None,
            trimmed_to: 0,
            empty_root: Directory::empty().seal(params),
            namespaces: Map::new_sync(),
            pins: Map::new_sync(),
            last_pin: 0,
            changed: Changed::default(),
        }
    }

    /// The last group that is included.
    pub(crate) fn group(&self) -> u64 {
        self.group
    }

    /// The store's age at that group, in milliseconds: uptime summed over all starts.
    pub(crate) fn age_ms(&self) -> u64 {
        self.age_ms
    }

    /// The newest stamp of a version.
    pub(crate) fn stamp(&self) -> u64 {
        self.stamp
    }

    /// The number and random id of the newest epoch that made a group.
    pub(crate) fn epoch(&self) -> Option<(u64, [u8; 16])> {
        let newest = self.epochs.last();
        newest.map(|(number, epoch)| (*number, epoch.id))
    }

    /// The group of the last recorded checkpoint, and the root of the state that it wrote.
    pub(crate) fn checkpoint(&self) -> Option<(u64, Blobref)> {
        self.checkpoint
    }

    /// Groups up to this one may have been dropped.
    pub(crate) fn trimmed_to(&self) -> u64 {
        self.trimmed_to
    }

    pub(crate) fn namespace(&self, name: &str) -> Option<&NamespaceState> {
        self.namespaces.get(name)
    }

    /// All namespaces, by name.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = (&SmolStr, &NamespaceState)> {
        self.namespaces.iter()
    }

    pub(crate) fn pin(&self, id: u64) -> Option<&Arc<Pin>> {
        self.pins.get(&id)
    }

    /// All pins, by id.
    pub(crate) fn pins(&self) -> impl Iterator<Item = &Arc<Pin>> {
        self.pins.values()
    }

    /// The ids of the pins of a namespace. Cost: linear in all pins.
    pub(super) fn pins_of(&self, namespace: &str) -> impl Iterator<Item = u64> {
        let pins = self.pins.values();
        let pins = pins.filter(move |pin| pin.snapshot.namespace == namespace);
        pins.map(|pin| pin.id)
    }

    /// Returns what changed since the last call; from now on it counts as written.
    pub(crate) fn take_changed(&mut self) -> Changed {
        let changed = std::mem::take(&mut self.changed);
        for (name, ()) in &changed.namespaces {
            if let Some(state) = self.namespaces.get_mut(name) {
                state.changed = false;
            }
        }
        changed
    }

    /// Marks everything as changed.
    pub(crate) fn mark_all(&mut self) {
        let names: Vec<SmolStr> = self.namespaces.keys().cloned().collect();
        names.iter().for_each(|name| self.mark(name));
        let pins: Vec<u64> = self.pins.keys().copied().collect();
        for id in pins {
            self.changed.pins.insert_mut(id, ());
        }
    }

    /// Marks what was taken as changed again, because it could not be written.
    pub(crate) fn give_back(&mut self, changed: &Changed) {
        for (name, ()) in &changed.namespaces {
            self.mark(name);
        }
        for (id, ()) in &changed.pins {
            self.changed.pins.insert_mut(*id, ());
        }
    }

    /// Marks a namespace as changed or removed.
    pub(super) fn mark(&mut self, name: &SmolStr) {
        match self.namespaces.get_mut(name) {
            Some(state) if state.changed => {}
            Some(state) => {
                state.changed = true;
                self.changed.namespaces.insert_mut(name.clone(), ());
            }
            None => self.changed.namespaces.insert_mut(name.clone(), ()),
        }
    }
}
