//! Replay: the namespaces of the manifest, moved on by every record behind it.
//!
//! Versions are replayed in batches: a root is computed and compared once a batch, since that of the last version is right
//! only if all effects before it were. Roots between are rebuilt when somebody reads them.

use std::collections::BTreeMap;
use std::sync::Arc;

use kvs_tree::{Directory, Effect};
use smol_str::SmolStr;

use crate::catalog::{Catalog, CheckpointRoot, NamespaceState};
use crate::error::EngineError;
use crate::history::{History, RootAt};
use crate::limits::{REPLAY_BATCH_BYTES, REPLAY_STEP};
use crate::namespace::Namespace;
use crate::record::{Group, Record, VersionRecord, effect_bytes};
use crate::store::{Pinned, Store};

/// Versions of one namespace that are read and not yet replayed.
#[derive(Default)]
struct Pending {
    versions: Vec<Replayed>,
    bytes: usize,
}

/// A version as the journal has it.
struct Replayed {
    record: Arc<VersionRecord>,
    /// The journal group that holds it.
    group: u64,
    /// About what its record takes in memory.
    bytes: usize,
}

/// The state while the journal is replayed.
pub(super) struct Replay<'a> {
    store: &'a Arc<Store>,
    pub(super) catalog: Catalog,
    pub(super) versions: u64,
    pending: BTreeMap<SmolStr, Pending>,
}

impl<'a> Replay<'a> {
    /// Ready to replay behind the group of `catalog`.
    pub(super) fn new(store: &'a Arc<Store>, catalog: Catalog) -> Self {
        Self {
            store,
            catalog,
            versions: 0,
            pending: BTreeMap::new(),
        }
    }

    /// The namespaces as the manifest has them.
    ///
    /// The journal may have been trimmed after the manifest was written: what lies before
    /// `trimmed_to` is not retained any more.
    pub(super) fn start(&mut self, trimmed_to: Option<u64>) {
        for (name, state) in &self.catalog.namespaces {
            let Some(last) = state.checkpoints.last() else {
                continue;
            };
            let root = RootAt {
                version: last.version,
                time_ms: last.time_ms,
                directory: last.directory(),
                root: last.root,
            };
            let mut history = History::new(state.checkpoints.clone(), state.landmarks.clone());
            if let Some(group) = trimmed_to {
                history.trim(group);
            }
            self.insert(name, state, root, history);
        }
    }

    fn insert(&self, name: &SmolStr, state: &NamespaceState, root: RootAt, history: History) {
        let (owner, incarnation) = (state.owner, state.incarnation);
        let namespace = Namespace::new(name.clone(), owner, incarnation, root, history);
        let namespace = namespace.shared_with(state.readers.clone());
        self.store.insert_namespace(Arc::new(namespace));
    }

    /// A namespace that was made, as the catalog has it.
    fn begin(&self, name: &SmolStr, origin: CheckpointRoot) {
        let Some(state) = self.catalog.namespaces.get(name) else {
            return;
        };
        let root = RootAt {
            version: 0,
            time_ms: origin.time_ms,
            directory: origin.directory(),
            root: origin.root,
        };
        self.insert(name, state, root, History::new(vec![origin], Vec::new()));
    }

    pub(super) fn group(&mut self, number: u64, group: Group) -> Result<(), EngineError> {
        for record in &group.records {
            self.catalog.apply(number, group.time_ms, record)?;
            match record {
                Record::Version(record) => self.version(number, record)?,
                // What ends a life of a namespace, or begins another: the versions before it are its own.
                Record::Removed { namespace } | Record::Reincarnated { namespace, .. } => {
                    self.flush(namespace)?;
                }
                _ => {}
            }
            match record {
                Record::Created { namespace, .. } => {
                    let params = self.store.objects.params();
                    let origin = CheckpointRoot::origin(params, number, group.time_ms);
                    self.begin(namespace, origin);
                }
                Record::Forked {
                    namespace,
                    root,
                    stats,
                    ..
                } => {
                    let origin = CheckpointRoot::forked(*root, *stats, number, group.time_ms);
                    self.begin(namespace, origin);
                }
                Record::Shared { namespace, uid } => {
                    self.store.namespace(namespace)?.share(*uid);
                }
                Record::Withdrawn { namespace, uid } => {
                    let namespace = self.store.namespace(namespace)?;
                    namespace.withdraw(*uid, &mut Vec::new());
                }
                Record::Removed { namespace } => {
                    self.store.remove_namespace(namespace);
                }
                Record::Reincarnated { namespace, .. } => self.reincarnate(namespace)?,
                Record::Version(_)
                | Record::Pinned(_)
                | Record::Unpinned { .. }
                | Record::PackAdded { .. } => {}
            }
        }
        self.catalog.group = number;
        Ok(())
    }

    fn version(&mut self, group: u64, record: &Arc<VersionRecord>) -> Result<(), EngineError> {
        let bytes = 128 + record.effects().map(effect_bytes).sum::<usize>();
        self.versions += 1;
        let pending = self.pending.entry(record.namespace.clone()).or_default();
        pending.bytes += bytes;
        pending.versions.push(Replayed {
            record: record.clone(),
            group,
            bytes,
        });
        if pending.bytes >= REPLAY_BATCH_BYTES {
            self.flush(&record.namespace)?;
        }
        Ok(())
    }

    /// Replays what is pending of every namespace.
    pub(super) fn finish(&mut self) -> Result<(), EngineError> {
        while let Some(name) = self.pending.keys().next().cloned() {
            self.flush(&name)?;
        }
        Ok(())
    }

    /// Replays what is pending of one namespace.
    fn flush(&mut self, name: &SmolStr) -> Result<(), EngineError> {
        let Some(pending) = self.pending.remove(name) else {
            return Ok(());
        };
        let namespace = self.store.namespace(name)?;
        let before = namespace.published().directory.clone();
        let Some(last) = pending.versions.last().map(|v| v.record.clone()) else {
            return Ok(());
        };
        let mut directory = before.clone();
        let effects = pending.versions.iter().flat_map(|v| v.record.effects());
        let effects: Vec<Effect> = effects.cloned().collect();
        let done: Result<(), EngineError> = effects.chunks(REPLAY_STEP).try_for_each(|effects| {
            directory = self.store.archive.replay(&directory, effects)?;
            Ok(())
        });
        let root = directory.seal(self.store.objects.params());
        if done.is_err() || root != last.root {
            self.blame(before, &pending.versions)?;
            done?;
            return Err(differs(&last, root));
        }
        let root = RootAt {
            version: last.version,
            time_ms: last.time_ms,
            directory,
            root,
        };
        let versions = pending.versions.into_iter();
        namespace.replayed(versions.map(|v| (v.record, v.group, v.bytes)), root);
        Ok(())
    }

    /// Names the first version of a batch that cannot be replayed as it is recorded.
    fn blame(&self, mut directory: Directory, versions: &[Replayed]) -> Result<(), EngineError> {
        for Replayed { record, .. } in versions {
            let effects: Vec<_> = record.effects().cloned().collect();
            directory = self.store.archive.replay(&directory, &effects)?;
            let found = directory.seal(self.store.objects.params());
            if found != record.root {
                return Err(differs(record, found));
            }
        }
        Ok(())
    }

    /// The namespace goes on as another life of itself, its past readable as before.
    fn reincarnate(&self, name: &SmolStr) -> Result<(), EngineError> {
        let old = self.store.namespace(name)?;
        let Some(state) = self.catalog.namespaces.get(name) else {
            return Ok(());
        };
        let root = (*old.published()).clone();
        let history = old.history().clone();
        self.insert(name, state, root, history);
        Ok(())
    }

    /// The roots of all pins, whose objects are in packs.
    pub(super) fn pins(&mut self) -> Result<(), EngineError> {
        for pin in self.catalog.pins.values() {
            let root = self.pinned_root(pin)?;
            let pin = pin.clone();
            self.store.pins().insert(pin.id, Pinned { pin, root });
        }
        Ok(())
    }

    fn pinned_root(&self, pin: &crate::request::Pin) -> Result<RootAt, EngineError> {
        let snapshot = &pin.snapshot;
        let missing = kvs_tree::Missing {
            blobref: snapshot.root,
            kind: kvs_tree::ObjectKind::Node,
        };
        let node = self.store.objects.read_node(&missing)?;
        let directory = Directory::load_root(snapshot.root, &node);
        Ok(RootAt {
            version: snapshot.version,
            time_ms: 0,
            directory,
            root: snapshot.root,
        })
    }
}

fn differs(record: &VersionRecord, found: kvs_tree::Blobref) -> EngineError {
    EngineError::corrupt(format!(
        "replay of version {} of namespace {} gives root {found}, but {} is recorded",
        record.version, record.namespace, record.root
    ))
}
