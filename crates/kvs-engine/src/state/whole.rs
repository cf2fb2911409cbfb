//! The whole state, and how it is looked at.

use std::sync::Arc;

use kvs_tree::{Blobref, Directory, StoreParams};
use smol_str::SmolStr;

use super::namespace::NamespaceState;
use super::persistent::Map;
use crate::request::Pin;

/// The state of a store beside its trees, as of one group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    pub(super) group: u64,
    pub(super) time_ms: u64,
    /// The root of an empty namespace under the parameters of the store.
    pub(super) empty_root: Blobref,
    pub(super) namespaces: Map<SmolStr, NamespaceState>,
    pub(super) pins: Map<u64, Arc<Pin>>,
    pub(super) last_pin: u64,
    pub(super) changed: Changed,
}

/// What was changed since the state was last written.
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
    /// The state of a store in which nothing has happened.
    pub(crate) fn new(params: &StoreParams) -> Self {
        Self {
            group: 0,
            time_ms: 0,
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

    /// The time of that group, in milliseconds since the epoch; never falls.
    pub(crate) fn time_ms(&self) -> u64 {
        self.time_ms
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

    /// What was changed since this was called last; from now on that counts as written.
    pub(crate) fn take_changed(&mut self) -> Changed {
        let changed = std::mem::take(&mut self.changed);
        for (name, ()) in &changed.namespaces {
            if let Some(state) = self.namespaces.get_mut(name) {
                state.changed = false;
            }
        }
        changed
    }

    /// What was taken could not be written.
    pub(crate) fn give_back(&mut self, changed: &Changed) {
        for (name, ()) in &changed.namespaces {
            self.mark(name);
        }
        for (id, ()) in &changed.pins {
            self.changed.pins.insert_mut(*id, ());
        }
    }

    /// Notes that a namespace has changed, or is gone.
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
