//! Replay: applies every record after the root record to the namespaces that it names.
//!
//! Versions are replayed in batches. A root is computed and compared once for each batch: that of
//! the last version is right only if all effects before it were. The roots in between are rebuilt
//! when they are read.

use std::collections::BTreeMap;
use std::sync::Arc;

use kvs_tree::Directory;
use smol_str::SmolStr;

use crate::bulk::Effort;
use crate::error::EngineError;
use crate::history::{History, RootAt, Written};
use crate::limits::REPLAY_BATCH_BYTES;
use crate::namespace::Namespace;
use crate::past::Past;
use crate::state::{Group, Notice, State, Terms, VersionRecord, effect_bytes};
use crate::store::{Pinned, Store};

/// Versions of one namespace that are read but not replayed yet.
#[derive(Default)]
struct Pending {
    versions: Vec<Written>,
    bytes: usize,
}

/// The state while the journal is replayed.
pub(super) struct Replay<'a> {
    store: &'a Arc<Store>,
    pub(super) state: State,
    pub(super) versions: u64,
    pending: BTreeMap<SmolStr, Pending>,
    effort: Effort,
}

impl<'a> Replay<'a> {
    /// Ready to replay the groups after that of `state`.
    pub(super) fn new(store: &'a Arc<Store>, state: State, effort: Effort) -> Self {
        Self {
            store,
            state,
            versions: 0,
            pending: BTreeMap::new(),
            effort,
        }
    }

    /// Adds the namespaces of the root record.
    ///
    /// The journal may have been trimmed after the root record was written: what precedes
    /// `trimmed_to` is no longer retained.
    pub(super) fn start(&mut self, mut pasts: BTreeMap<SmolStr, Past>, trimmed_to: Option<u64>) {
        for (name, state) in self.state.namespaces() {
            let past = pasts.remove(name).unwrap_or_default();
            let Some(root) = past.checkpoints.last().map(RootAt::checkpoint) else {
                continue;
            };
            let mut history = History::new(past);
            if let Some(group) = trimmed_to {
                history.trim(group);
            }
            let namespace = Namespace::new(name.clone(), state.terms.clone(), root, history);
            self.store.insert_namespace(Arc::new(namespace));
        }
    }

    pub(super) fn group(&mut self, number: u64, group: Group) -> Result<(), EngineError> {
        let info = group.info(number);
        for record in &group.records {
            match self.state.apply(info, record)? {
                Notice::Moved { record, .. } => self.version(number, &record)?,
                Notice::Began {
                    namespace,
                    terms,
                    origin,
                } => drop(self.store.begin(info, namespace, terms, &origin)),
                // The pending versions are of the incarnation that ends here.
                Notice::Ended { namespace, .. } => {
                    self.flush(&namespace)?;
                    self.store.end(&namespace);
                }
                Notice::Terms {
                    namespace, after, ..
                } => self.terms(&namespace, after)?,
                Notice::Pinned(_)
                | Notice::Unpinned { .. }
                | Notice::PackAdded(_)
                | Notice::Store => {}
            }
        }
        Ok(())
    }

    /// Changes the terms of a namespace. A new incarnation is a new object, with the past readable
    /// as before.
    fn terms(&mut self, name: &SmolStr, after: Arc<Terms>) -> Result<(), EngineError> {
        let namespace = self.store.namespace(name)?;
        if namespace.incarnation == after.incarnation {
            namespace.change_terms(after);
            return Ok(());
        }
        self.flush(name)?;
        let root = (*namespace.published()).clone();
        let history = namespace.history().clone();
        let next = Namespace::new(name.clone(), after, root, history);
        self.store.insert_namespace(Arc::new(next));
        Ok(())
    }

    fn version(&mut self, group: u64, record: &Arc<VersionRecord>) -> Result<(), EngineError> {
        let bytes = 128 + record.effects().map(effect_bytes).sum::<usize>();
        self.versions += 1;
        let pending = self.pending.entry(record.namespace.clone()).or_default();
        pending.bytes += bytes;
        pending.versions.push(Written {
            record: record.clone(),
            group,
            bytes,
        });
        if pending.bytes >= REPLAY_BATCH_BYTES {
            self.flush(&record.namespace)?;
        }
        Ok(())
    }

    /// Replays the pending versions of all namespaces.
    pub(super) fn finish(&mut self) -> Result<(), EngineError> {
        while let Some(name) = self.pending.keys().next().cloned() {
            self.flush(&name)?;
        }
        Ok(())
    }

    /// Replays the pending versions of one namespace.
    fn flush(&mut self, name: &SmolStr) -> Result<(), EngineError> {
        let Some(pending) = self.pending.remove(name) else {
            return Ok(());
        };
        let namespace = self.store.namespace(name)?;
        let before = namespace.published().directory.clone();
        let Some(last) = pending.versions.last().map(|v| v.record.clone()) else {
            return Ok(());
        };
        let records = pending.versions.iter().map(|v| v.record.as_ref());
        let replayed = self.store.archive.replay(&before, records, self.effort);
        let replayed = replayed.and_then(|directory| {
            let root = self.store.objects.seal(&directory, self.effort)?;
            if root == last.root {
                Ok((root, directory))
            } else {
                Err(differs(&last, root))
            }
        });
        let (root, directory) = match replayed {
            Ok(replayed) => replayed,
            Err(error) => {
                self.blame(before, &pending.versions)?;
                return Err(error);
            }
        };
        let root = RootAt {
            version: last.version,
            time_ms: last.time_ms,
            directory,
            root,
        };
        namespace.replayed(pending.versions, root);
        Ok(())
    }

    /// Fails with the first version of a batch whose replay does not arrive at its recorded root.
    fn blame(&self, mut directory: Directory, versions: &[Written]) -> Result<(), EngineError> {
        for Written { record, .. } in versions {
            let archive = &self.store.archive;
            directory = archive.replay(&directory, [record.as_ref()], Effort::BESIDE)?;
            let found = directory.seal(self.store.objects.params());
            if found != record.root {
                return Err(differs(record, found));
            }
        }
        Ok(())
    }

    /// Restores the roots of all pins; their objects are in packs.
    pub(super) fn pins(&mut self) -> Result<(), EngineError> {
        for pin in self.state.pins() {
            let root = self.pinned_root(pin)?;
            let pin = pin.clone();
            let (id, deadline) = (pin.id, pin.lease_ms);
            // Lease time starts with the owner.
            let pinned = Pinned {
                pin,
                root,
                deadline,
            };
            self.store.pins().insert(id, pinned);
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
