//! The durable state beside the trees: namespaces, owners, incarnations, pins, transaction ids.
//!
//! Pure: it changes by journal records only, so the manifest (this state at a named group) and the
//! journal behind it give the same catalog after any restart.

use std::collections::{BTreeMap, BTreeSet};

use kvs_tree::{Blobref, Directory, Stats, StoreParams};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::error::EngineError;
use crate::outcomes::Outcomes;
use crate::pack::PackId;
use crate::record::{Record, VersionRecord};
use crate::request::Pin;

/// A root that can be read from packs: where versions after it are rebuilt from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CheckpointRoot {
    pub(crate) version: u64,
    /// The last group that this root includes.
    pub(crate) group: u64,
    pub(crate) time_ms: u64,
    pub(crate) root: Blobref,
    pub(crate) stats: Stats,
    /// The empty directory of version 0 needs no object.
    pub(crate) empty: bool,
}

impl CheckpointRoot {
    /// Version 0 of a namespace that was made in `group`.
    pub(crate) fn origin(params: &StoreParams, group: u64, time_ms: u64) -> Self {
        let empty = Directory::empty();
        let (root, stats) = (empty.seal(params), empty.stats());
        Self {
            version: 0,
            group,
            time_ms,
            root,
            stats,
            empty: true,
        }
    }

    /// Version 0 of a namespace that began in `group` as a copy of a stored root.
    pub(crate) fn forked(root: Blobref, stats: Stats, group: u64, time_ms: u64) -> Self {
        Self {
            version: 0,
            group,
            time_ms,
            root,
            stats,
            empty: false,
        }
    }

    pub(crate) fn directory(&self) -> Directory {
        if self.empty {
            Directory::empty()
        } else {
            Directory::stored(self.root, self.stats)
        }
    }
}

/// Where in the journal versions stand: `group` holds the first transaction of `version`. Sparse.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Landmark {
    pub(crate) version: u64,
    pub(crate) group: u64,
}

/// One namespace's durable state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NamespaceState {
    pub(crate) owner: u32,
    pub(crate) incarnation: u64,
    pub(crate) version: u64,
    pub(crate) time_ms: u64,
    pub(crate) outcomes: Outcomes,
    /// Ascending; the first is the oldest retained version. Only current in a manifest: in a
    /// running engine the namespace's history owns them.
    pub(crate) checkpoints: Vec<CheckpointRoot>,
    pub(crate) landmarks: Vec<Landmark>,
    /// Users who may read it although they do not own it. The field is absent if there are none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) readers: BTreeSet<u32>,
}

/// The state of a store beside its trees.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Catalog {
    /// The last group that is included.
    pub(crate) group: u64,
    pub(crate) time_ms: u64,
    pub(crate) namespaces: BTreeMap<SmolStr, NamespaceState>,
    pub(crate) pins: BTreeMap<u64, Pin>,
    pub(crate) packs: Vec<PackId>,
    /// Groups up to which checkpoints reach, ascending; the journal may be dropped before any of them.
    pub(crate) checkpoints: Vec<u64>,
    next_pin: u64,
    /// A daemon with a weak durability mode is (or was, and did not stop cleanly) at work.
    pub(crate) weak: bool,
}

impl Catalog {
    /// Takes in one record of group `group`, stamped `time_ms`.
    ///
    /// # Errors
    /// `Corrupt` if the record cannot follow this state.
    pub(crate) fn apply(
        &mut self,
        group: u64,
        time_ms: u64,
        record: &Record,
    ) -> Result<(), EngineError> {
        self.group = group;
        self.time_ms = self.time_ms.max(time_ms);
        match record {
            Record::Version(version) => self.apply_version(version)?,
            Record::Created {
                namespace,
                owner,
                incarnation,
            }
            | Record::Forked {
                namespace,
                owner,
                incarnation,
                ..
            } => {
                let state = NamespaceState {
                    owner: *owner,
                    incarnation: *incarnation,
                    version: 0,
                    time_ms,
                    outcomes: Outcomes::default(),
                    checkpoints: Vec::new(),
                    landmarks: Vec::new(),
                    readers: BTreeSet::new(),
                };
                self.namespaces.insert(namespace.clone(), state);
            }
            Record::Removed { namespace, .. } => {
                self.namespaces.remove(namespace);
                self.pins
                    .retain(|_, pin| pin.snapshot.namespace != *namespace);
            }
            Record::Reincarnated {
                namespace,
                incarnation,
            } => {
                if let Some(state) = self.namespaces.get_mut(namespace) {
                    state.incarnation = *incarnation;
                }
            }
            Record::Pinned(pin) => {
                self.next_pin = self.next_pin.max(pin.id);
                self.pins.insert(pin.id, pin.clone());
            }
            Record::Unpinned { id } => {
                self.pins.remove(id);
            }
            Record::PackAdded { pack } => {
                if !self.packs.contains(pack) {
                    self.packs.push(*pack);
                }
            }
            Record::Shared { namespace, uid } => {
                if let Some(state) = self.namespaces.get_mut(namespace) {
                    state.readers.insert(*uid);
                }
            }
            Record::Withdrawn { namespace, uid } => {
                if let Some(state) = self.namespaces.get_mut(namespace) {
                    state.readers.remove(uid);
                }
            }
            Record::Given {
                namespace,
                owner,
                before,
                ..
            } => {
                if let Some(state) = self.namespaces.get_mut(namespace) {
                    state.owner = *owner;
                    state.readers.remove(before);
                    state.readers.remove(owner);
                }
            }
        }
        Ok(())
    }

    fn apply_version(&mut self, record: &VersionRecord) -> Result<(), EngineError> {
        let name = &record.namespace;
        let state = self.namespaces.get_mut(name).ok_or_else(|| {
            EngineError::corrupt(format!(
                "the journal moves namespace {name}, which is not there"
            ))
        })?;
        if record.incarnation != state.incarnation || record.version != state.version + 1 {
            return Err(EngineError::corrupt(format!(
                "the journal moves namespace {name} to version {} of incarnation {:x}, but it stands at version {} of {:x}",
                record.version, record.incarnation, state.version, state.incarnation
            )));
        }
        state.version = record.version;
        state.time_ms = record.time_ms;
        for transaction in &record.transactions {
            state.outcomes.record(transaction, record);
        }
        Ok(())
    }

    /// An id that no pin had before.
    pub(crate) fn new_pin_id(&mut self) -> u64 {
        self.next_pin += 1;
        self.next_pin
    }
}
