//! Everything durable that is not in a tree, as one persistent value (RFC 0008).
//!
//! Pure. [`State::decide`] judges a change, [`State::apply`] takes a record in; nothing else changes
//! a state, and no other module takes records apart.

mod rights;

mod terms;

mod record;

mod outcomes;

mod apply;

mod decide;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use kvs_tree::{Blobref, Directory, StoreParams};
use rpds::RedBlackTreeMapSync;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::request::Pin;

pub(crate) use apply::{Notice, Stamp};
pub(crate) use decide::Change;
pub(crate) use outcomes::{Outcome, Seen};
pub use record::{Group, Record, TransactionRecord, VersionRecord};
pub(crate) use record::{Subject, effect_bytes};
pub(crate) use rights::{Authority, not_allowed};
pub(crate) use terms::{NamespaceState, Terms};

/// An ordered map with a clone in O(1). A change copies the path to it, if a clone is left.
pub(crate) type Map<K, V> = RedBlackTreeMapSync<K, V>;

/// The state of a store beside its trees, as of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    group: u64,
    time_ms: u64,
    /// The root of an empty namespace under the parameters of the store.
    empty_root: Blobref,
    namespaces: Map<SmolStr, NamespaceState>,
    pins: Map<u64, Arc<Pin>>,
    last_pin: u64,
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
}
