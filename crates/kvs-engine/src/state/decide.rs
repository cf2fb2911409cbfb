//! Decides changes outside the trees: which records to write, or why to refuse.

use std::sync::Arc;

use kvs_tree::{Blobref, Stats};
use smol_str::SmolStr;

use super::record::{Cause, Record};
use super::rights::Authority;
use super::whole::State;
use crate::error::{EngineError, ErrorKind};
use crate::limits::{GUEST_PINS, NAMESPACES, PINS, READERS};
use crate::reference::SnapshotRef;
use crate::request::{Pin, Principal};

/// A requested change. It carries what the decision must not determine itself: random numbers and
/// times.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Create a namespace; with a root, as a copy of that state.
    Create {
        name: SmolStr,
        owner: Principal,
        /// Random, not 0.
        incarnation: u64,
        root: Option<(Blobref, Stats)>,
    },
    /// Remove a namespace with all its contents. A missing one is not an error.
    Remove { name: SmolStr },
    /// Grant or revoke a user's right to read a namespace.
    Share {
        caller: Principal,
        name: SmolStr,
        principal: Principal,
        may_read: bool,
    },
    /// Make another user the owner of a namespace.
    Give { name: SmolStr, owner: Principal },
    /// Pin a snapshot whose root the caller found readable.
    Pin {
        snapshot: SnapshotRef,
        caller: Principal,
        lease_ms: Option<u64>,
    },
    /// Release a pin.
    Unpin { caller: Principal, id: u64 },
    /// Release a pin whose lease has expired. A missing one is not an error.
    EndLease { id: u64 },
}

impl State {
    /// The records to write so that the change takes effect: none if nothing changes, and the
    /// change itself last.
    ///
    /// # Errors
    /// `NoNamespace`, `Exists`, `Permission`, `Limit`, `NotFound`: the refusal.
    pub(crate) fn decide(
        &self,
        authority: Authority,
        change: Change,
    ) -> Result<Vec<Record>, EngineError> {
        let one = |record| vec![record];
        match change {
            Change::Create {
                name,
                owner,
                incarnation,
                root,
            } => self.create(name, owner, incarnation, root).map(one),
            Change::Remove { name } => Ok(self.remove(name)),
            Change::Share {
                caller,
                name,
                principal,
                may_read,
            } => self
                .share(authority, caller, name, principal, may_read)
                .map(one),
            Change::Give { name, owner } => Ok(self.give(name, owner)?.into_iter().collect()),
            Change::Pin {
                snapshot,
                caller,
                lease_ms,
            } => self.add_pin(authority, snapshot, caller, lease_ms).map(one),
            Change::Unpin { caller, id } => self.unpin(authority, caller, id).map(one),
            Change::EndLease { id } => {
                let ended = self.pin(id).map(|_| Record::Unpinned {
                    id,
                    cause: Some(Cause::LeaseEnded),
                });
                Ok(ended.into_iter().collect())
            }
        }
    }

    fn create(
        &self,
        namespace: SmolStr,
        owner: Principal,
        incarnation: u64,
        root: Option<(Blobref, Stats)>,
    ) -> Result<Record, EngineError> {
        if self.namespaces.contains_key(&namespace) {
            let message = format!("namespace {namespace} exists already");
            return Err(EngineError::new(ErrorKind::Exists, message));
        }
        if self.namespaces.size() >= NAMESPACES {
            let message = format!("the store has {NAMESPACES} namespaces already");
            return Err(EngineError::new(ErrorKind::Limit, message));
        }
        Ok(match root {
            None => Record::Created {
                namespace,
                owner,
                incarnation,
            },
            Some((root, stats)) => Record::Forked {
                namespace,
                owner,
                incarnation,
                root,
                stats,
            },
        })
    }

    /// The records that remove a namespace, those of its pins first.
    fn remove(&self, namespace: SmolStr) -> Vec<Record> {
        let Some(state) = self.namespaces.get(&namespace) else {
            return Vec::new();
        };
        let mut records: Vec<Record> = self
            .pins_of(&namespace)
            .map(|id| Record::Unpinned {
                id,
                cause: Some(Cause::NamespaceRemoved),
            })
            .collect();
        records.push(Record::Removed {
            incarnation: state.terms.incarnation,
            owner: state.terms.owner,
            readers: state.terms.readers.clone(),
            namespace,
        });
        records
    }

    fn share(
        &self,
        authority: Authority,
        caller: Principal,
        namespace: SmolStr,
        principal: Principal,
        may_read: bool,
    ) -> Result<Record, EngineError> {
        let state = self.namespaces.get(&namespace);
        let state = state.ok_or_else(|| authority.no_namespace(caller, &namespace))?;
        let terms = &state.terms;
        authority.check_use(caller, terms.owner, &namespace)?;
        if !may_read {
            return Ok(Record::Withdrawn {
                namespace,
                principal,
            });
        }
        if terms.readers.len() >= READERS && !terms.readers.contains(&principal) {
            let message = format!("namespace {namespace} is shared with {READERS} users already");
            return Err(EngineError::new(ErrorKind::Limit, message));
        }
        Ok(Record::Shared {
            namespace,
            principal,
        })
    }

    fn give(&self, namespace: SmolStr, owner: Principal) -> Result<Option<Record>, EngineError> {
        let state = self.namespaces.get(&namespace);
        let terms = &state
            .ok_or_else(|| EngineError::no_namespace(&namespace))?
            .terms;
        let before = terms.owner;
        Ok((before != owner).then(|| Record::Given {
            incarnation: terms.incarnation,
            owner,
            before,
            namespace,
        }))
    }

    fn add_pin(
        &self,
        authority: Authority,
        snapshot: SnapshotRef,
        caller: Principal,
        lease_ms: Option<u64>,
    ) -> Result<Record, EngineError> {
        if !self.namespaces.contains_key(&snapshot.namespace) {
            return Err(authority.no_namespace(caller, &snapshot.namespace));
        }
        let guest = !authority.is_instance_owner(caller);
        let all = self.pins.size();
        // All guests together cannot use up the instance owner's pins.
        let most = if guest { PINS / 2 } else { PINS };
        if all >= most {
            let message = format!("the store has {all} pins already, at most {most} are allowed");
            return Err(EngineError::new(ErrorKind::Limit, message));
        }
        let own = || {
            self.pins
                .values()
                .filter(|pin| pin.principal == caller)
                .count()
        };
        if guest && own() >= GUEST_PINS {
            let message = format!("{caller} has {GUEST_PINS} pins already");
            return Err(EngineError::new(ErrorKind::Limit, message));
        }
        Ok(Record::Pinned(Pin {
            id: self.last_pin + 1,
            snapshot,
            principal: caller,
            lease_ms,
        }))
    }

    fn unpin(
        &self,
        authority: Authority,
        caller: Principal,
        id: u64,
    ) -> Result<Record, EngineError> {
        // A pin on a namespace that the caller may not read is reported as not found.
        let known = |pin: &&Arc<Pin>| {
            let state = self.namespaces.get(&pin.snapshot.namespace);
            let readable = || state.is_some_and(|state| authority.may_read(caller, &state.terms));
            pin.principal == caller || readable()
        };
        let Some(pin) = self.pins.get(&id).filter(known) else {
            let message = format!("there is no pin {id}");
            return Err(EngineError::new(ErrorKind::NotFound, message));
        };
        if pin.principal != caller {
            authority.check_instance_owner(caller, "another user's pin")?;
        }
        Ok(Record::Unpinned { id, cause: None })
    }
}
