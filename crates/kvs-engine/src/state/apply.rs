//! The effect of each record on a state.

use std::sync::Arc;

use kvs_tree::Blobref;
use smol_str::SmolStr;

use super::namespace::{EpochVersions, NamespaceState};
use super::outcomes::{Outcomes, TookEffect};
use super::record::{Record, TransactionRecord, VersionRecord};
use super::terms::Terms;
use super::whole::{EpochState, State};
use crate::error::EngineError;
use crate::limits::EPOCHS;
use crate::pack::PackId;
use crate::past::{GroupInfo, Origin};
use crate::request::Pin;

/// What a record changed, for data that is derived from a state.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Notice {
    /// A namespace moved to a new version.
    Moved {
        record: Arc<VersionRecord>,
        /// The root that the version replaced, if known.
        previous: Option<Blobref>,
    },
    /// A namespace was created, at version 0.
    Began {
        namespace: SmolStr,
        terms: Arc<Terms>,
        origin: Origin,
    },
    /// A namespace was removed.
    Ended {
        namespace: SmolStr,
        terms: Arc<Terms>,
    },
    /// A namespace continues under other terms.
    Terms {
        namespace: SmolStr,
        before: Arc<Terms>,
        after: Arc<Terms>,
    },
    Pinned(Arc<Pin>),
    Unpinned {
        id: u64,
    },
    /// A record adds a pack, for values too large for a record.
    PackAdded(PackId),
    /// A change of the store itself: an epoch, a checkpoint, a trim.
    Store,
}

impl State {
    /// Applies one record.
    ///
    /// # Errors
    /// `Corrupt` if the record cannot follow this state, which is then unchanged.
    pub(crate) fn apply(
        &mut self,
        info: GroupInfo,
        record: &Record,
    ) -> Result<Notice, EngineError> {
        let notice = self.fold(info, record)?;
        self.group = info.group;
        self.age_ms = self.age_ms.max(info.age_ms);
        Ok(notice)
    }

    fn fold(&mut self, info: GroupInfo, record: &Record) -> Result<Notice, EngineError> {
        Ok(match record {
            Record::Version(version) => self.moved(info, version)?,
            Record::Created {
                namespace,
                owner,
                incarnation,
            } => {
                let origin = Origin {
                    root: self.empty_root,
                    copied: None,
                };
                let terms = Terms::new(*owner, *incarnation);
                self.began(info, namespace, terms, origin)?
            }
            Record::Forked {
                namespace,
                owner,
                incarnation,
                root,
                stats,
            } => {
                let origin = Origin {
                    root: *root,
                    copied: Some(*stats),
                };
                let terms = Terms::new(*owner, *incarnation);
                self.began(info, namespace, terms, origin)?
            }
            Record::Removed {
                namespace,
                incarnation,
                ..
            } => self.ended(namespace, *incarnation)?,
            Record::Reincarnated {
                namespace,
                incarnation,
                ..
            } => {
                let notice = self.changed(namespace, |terms| terms.incarnation = *incarnation)?;
                if let Some(state) = self.namespaces.get_mut(namespace) {
                    state.epochs = begun_by(info.epoch, state.version);
                }
                notice
            }
            Record::Shared {
                namespace,
                principal,
            } => self.changed(namespace, |terms| {
                terms.readers.insert(*principal);
            })?,
            Record::Withdrawn {
                namespace,
                principal,
            } => self.changed(namespace, |terms| {
                terms.readers.remove(principal);
            })?,
            Record::Given {
                namespace,
                owner,
                before,
                ..
            } => self.changed(namespace, |terms| {
                terms.owner = *owner;
                terms.readers.remove(before);
                terms.readers.remove(owner);
            })?,
            Record::Pinned(pin) => {
                self.last_pin = self.last_pin.max(pin.id);
                let pin = Arc::new(pin.clone());
                self.pins.insert_mut(pin.id, pin.clone());
                self.changed.pins.insert_mut(pin.id, ());
                Notice::Pinned(pin)
            }
            Record::Unpinned { id, .. } => {
                self.pins.remove_mut(id);
                self.changed.pins.insert_mut(*id, ());
                Notice::Unpinned { id: *id }
            }
            Record::PackAdded { pack } => Notice::PackAdded(*pack),
            Record::Epoch { number, id } => self.began_epoch(info, *number, *id)?,
            Record::Checkpointed { group, root } => {
                self.checkpoint = Some((*group, *root));
                Notice::Store
            }
            Record::Trimmed { to } => {
                self.trimmed_to = self.trimmed_to.max(*to);
                Notice::Store
            }
        })
    }

    fn began_epoch(
        &mut self,
        info: GroupInfo,
        number: u64,
        id: [u8; 16],
    ) -> Result<Notice, EngineError> {
        let newest = self.epoch().map_or(0, |(newest, _)| newest);
        if number <= newest {
            return Err(EngineError::corrupt(format!(
                "the journal begins epoch {number} after epoch {newest}"
            )));
        }
        let group = info.group;
        self.epochs.insert_mut(number, EpochState { id, group });
        while self.epochs.size() > EPOCHS
            && let Some((&oldest, _)) = self.epochs.first()
        {
            self.epochs.remove_mut(&oldest);
        }
        Ok(Notice::Store)
    }

    fn moved(
        &mut self,
        info: GroupInfo,
        record: &Arc<VersionRecord>,
    ) -> Result<Notice, EngineError> {
        let name = &record.namespace;
        let state = self.namespaces.get_mut(name);
        let state = state.ok_or_else(|| absent("moves", name))?;
        if record.incarnation != state.terms.incarnation || record.version != state.version + 1 {
            return Err(EngineError::corrupt(format!(
                "the journal moves namespace {name} to version {} of incarnation {:x}, but it stands at version {} of {:x}",
                record.version, record.incarnation, state.version, state.terms.incarnation
            )));
        }
        let previous = state.root;
        state.open(info.epoch, info.age_ms);
        state.root = Some(record.root);
        for transaction in &record.transactions {
            state.accept(transaction, Some(record.root));
        }
        if !std::mem::replace(&mut state.changed, true) {
            self.changed.namespaces.insert_mut(name.clone(), ());
        }
        self.stamp = self.stamp.max(record.stamp);
        Ok(Notice::Moved {
            record: record.clone(),
            previous,
        })
    }

    fn began(
        &mut self,
        info: GroupInfo,
        name: &SmolStr,
        terms: Terms,
        origin: Origin,
    ) -> Result<Notice, EngineError> {
        if self.namespaces.contains_key(name) {
            return Err(EngineError::corrupt(format!(
                "the journal creates namespace {name}, which exists"
            )));
        }
        let terms = Arc::new(terms);
        let state = NamespaceState {
            terms: terms.clone(),
            version: 0,
            root: Some(origin.root),
            epochs: begun_by(info.epoch, 0),
            age_ms: info.age_ms,
            outcomes: Outcomes::default(),
            changed: false,
        };
        self.namespaces.insert_mut(name.clone(), state);
        self.mark(name);
        Ok(Notice::Began {
            namespace: name.clone(),
            terms,
            origin,
        })
    }

    fn ended(&mut self, name: &SmolStr, incarnation: u64) -> Result<Notice, EngineError> {
        let state = self.namespaces.get(name.as_str());
        let state = state.filter(|state| state.terms.incarnation == incarnation);
        let terms = state.ok_or_else(|| absent("removes", name))?.terms.clone();
        if let Some(pin) = self.pins_of(name).next() {
            return Err(EngineError::corrupt(format!(
                "the journal removes namespace {name}, which has pin {pin}"
            )));
        }
        self.namespaces.remove_mut(name.as_str());
        self.mark(name);
        Ok(Notice::Ended {
            namespace: name.clone(),
            terms,
        })
    }

    fn changed(
        &mut self,
        name: &SmolStr,
        change: impl FnOnce(&mut Terms),
    ) -> Result<Notice, EngineError> {
        let state = self.namespaces.get_mut(name);
        let state = state.ok_or_else(|| absent("changes", name))?;
        let before = state.terms.clone();
        let mut after = (*before).clone();
        change(&mut after);
        let after = Arc::new(after);
        state.terms = after.clone();
        self.mark(name);
        Ok(Notice::Terms {
            namespace: name.clone(),
            before,
            after,
        })
    }

    /// On the head: opens the next version of a namespace and returns its number.
    ///
    /// # Errors
    /// `NoNamespace`.
    pub(crate) fn open_version(&mut self, name: &str, info: GroupInfo) -> Result<u64, EngineError> {
        let state = self.namespaces.get_mut(name);
        let state = state.ok_or_else(|| EngineError::no_namespace(name))?;
        state.open(info.epoch, info.age_ms);
        state.root = None;
        Ok(state.version)
    }

    /// On the head: adds a transaction to the open version of a namespace, whose root is not known
    /// yet. Does what [`apply`](Self::apply) does for each transaction of a version.
    pub(crate) fn accept(&mut self, name: &str, transaction: &TransactionRecord) {
        if let Some(state) = self.namespaces.get_mut(name) {
            state.accept(transaction, None);
        }
    }

    /// Adds a namespace that a follower finds in the past without having seen its creation: at this
    /// version, under terms that are not verified.
    pub(crate) fn assume(
        &mut self,
        name: &SmolStr,
        terms: Arc<Terms>,
        version: u64,
        root: Option<Blobref>,
    ) {
        let state = NamespaceState {
            terms,
            version,
            root,
            epochs: Arc::default(),
            age_ms: 0,
            outcomes: Outcomes::default(),
            changed: false,
        };
        self.namespaces.insert_mut(name.clone(), state);
    }

    /// Removes a namespace that a follower no longer needs.
    pub(crate) fn forget(&mut self, name: &str) {
        self.namespaces.remove_mut(name);
    }
}

impl NamespaceState {
    fn open(&mut self, epoch: u64, age_ms: u64) {
        self.version += 1;
        self.made_by(epoch, self.version);
        self.age_ms = age_ms;
        self.outcomes.forget_old(self.version, age_ms);
    }

    fn accept(&mut self, transaction: &TransactionRecord, root: Option<Blobref>) {
        let at = TookEffect {
            version: self.version,
            age_ms: self.age_ms,
            root,
        };
        self.outcomes.record(transaction, at);
    }
}

/// The epochs of a new namespace or incarnation that begins at `version`.
fn begun_by(epoch: u64, version: u64) -> Arc<Vec<EpochVersions>> {
    let first = version;
    Arc::new(vec![EpochVersions { epoch, first }])
}

fn absent(verb: &str, name: &str) -> EngineError {
    EngineError::corrupt(format!(
        "the journal {verb} namespace {name}, which is not there"
    ))
}
