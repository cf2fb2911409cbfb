//! Judging changes beside the trees: what is to be recorded, or why not.

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

/// A change that somebody asks for. It carries everything that the decision must not find out
/// itself: random numbers and times.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Make a namespace; with a root, as a copy of that state.
    Create {
        name: SmolStr,
        owner: u32,
        /// Random, not 0.
        incarnation: u64,
        root: Option<(Blobref, Stats)>,
    },
    /// Remove a namespace with everything in it. One that is not there is no error.
    Remove { name: SmolStr },
    /// Give a user the right to read a namespace, or take it back.
    Share {
        caller: Principal,
        name: SmolStr,
        uid: u32,
        may_read: bool,
    },
    /// Give a namespace to another user.
    Give { name: SmolStr, owner: u32 },
    /// Pin a snapshot, whose root the caller found readable.
    Pin {
        snapshot: SnapshotRef,
        uid: u32,
        lease_ms: Option<u64>,
    },
    /// Release a pin.
    Unpin { caller: Principal, id: u64 },
    /// Release a pin whose lease has run out. One that is not there is no error.
    EndLease { id: u64 },
}

impl State {
    /// What is to be recorded so that the change takes effect; `None` if nothing is to be changed.
    ///
    /// # Errors
    /// `NoNamespace`, `Exists`, `Permission`, `Limit`, `NotFound`: the refusal.
    pub(crate) fn decide(
        &self,
        authority: Authority,
        change: Change,
    ) -> Result<Option<Record>, EngineError> {
        match change {
            Change::Create {
                name,
                owner,
                incarnation,
                root,
            } => self.create(name, owner, incarnation, root).map(Some),
            Change::Remove { name } => Ok(self.remove(name)),
            Change::Share {
                caller,
                name,
                uid,
                may_read,
            } => self.share(authority, caller, name, uid, may_read).map(Some),
            Change::Give { name, owner } => self.give(name, owner),
            Change::Pin {
                snapshot,
                uid,
                lease_ms,
            } => self.add_pin(authority, snapshot, uid, lease_ms).map(Some),
            Change::Unpin { caller, id } => self.unpin(authority, caller, id).map(Some),
            Change::EndLease { id } => Ok(self.pin(id).map(|_| Record::Unpinned {
                id,
                cause: Some(Cause::LeaseEnded),
            })),
        }
    }

    fn create(
        &self,
        namespace: SmolStr,
        owner: u32,
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

    fn remove(&self, namespace: SmolStr) -> Option<Record> {
        let terms = &self.namespaces.get(&namespace)?.terms;
        Some(Record::Removed {
            incarnation: terms.incarnation,
            owner: terms.owner,
            readers: terms.readers.clone(),
            namespace,
        })
    }

    fn share(
        &self,
        authority: Authority,
        caller: Principal,
        namespace: SmolStr,
        uid: u32,
        may_read: bool,
    ) -> Result<Record, EngineError> {
        let state = self.namespaces.get(&namespace);
        let state = state.ok_or_else(|| authority.no_namespace(caller, &namespace))?;
        let terms = &state.terms;
        authority.check_use(caller, terms.owner, &namespace)?;
        if !may_read {
            return Ok(Record::Withdrawn { namespace, uid });
        }
        if terms.readers.len() >= READERS && !terms.readers.contains(&uid) {
            let message = format!("namespace {namespace} is shared with {READERS} users already");
            return Err(EngineError::new(ErrorKind::Limit, message));
        }
        Ok(Record::Shared { namespace, uid })
    }

    fn give(&self, namespace: SmolStr, owner: u32) -> Result<Option<Record>, EngineError> {
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
        uid: u32,
        lease_ms: Option<u64>,
    ) -> Result<Record, EngineError> {
        let caller = Principal::Uid(uid);
        if !self.namespaces.contains_key(&snapshot.namespace) {
            return Err(authority.no_namespace(caller, &snapshot.namespace));
        }
        let guest = !authority.is_instance_owner(caller);
        let all = self.pins.size();
        // Guests together cannot take the places of the instance owner.
        let most = if guest { PINS / 2 } else { PINS };
        if all >= most {
            let message = format!("the store has {all} pins already, at most {most} are allowed");
            return Err(EngineError::new(ErrorKind::Limit, message));
        }
        let own = || self.pins.values().filter(|pin| pin.uid == uid).count();
        if guest && own() >= GUEST_PINS {
            let message = format!("uid {uid} has {GUEST_PINS} pins already");
            return Err(EngineError::new(ErrorKind::Limit, message));
        }
        Ok(Record::Pinned(Pin {
            id: self.last_pin + 1,
            snapshot,
            uid,
            lease_ms,
        }))
    }

    fn unpin(
        &self,
        authority: Authority,
        caller: Principal,
        id: u64,
    ) -> Result<Record, EngineError> {
        // A pin on a namespace that the caller may not read is not there for it.
        let known = |pin: &&Arc<Pin>| {
            let state = self.namespaces.get(&pin.snapshot.namespace);
            let readable = || state.is_some_and(|state| authority.may_read(caller, &state.terms));
            pin.uid == caller.uid() || readable()
        };
        let Some(pin) = self.pins.get(&id).filter(known) else {
            let message = format!("there is no pin {id}");
            return Err(EngineError::new(ErrorKind::NotFound, message));
        };
        if pin.uid != caller.uid() {
            authority.check_instance_owner(caller, "another user's pin")?;
        }
        Ok(Record::Unpinned { id, cause: None })
    }
}
