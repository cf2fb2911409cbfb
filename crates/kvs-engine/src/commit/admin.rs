//! Namespaces and pins: what changes beside the trees, by records of its own.

use std::sync::Arc;

use kvs_tree::{Blobref, Stats};
use smol_str::SmolStr;

use super::command::Reply;
use super::task::CommitTask;
use crate::error::{EngineError, ErrorKind};
use crate::history::RootAt;
use crate::limits::{GUEST_PINS, LEASE_MS, NAMESPACES, PINS, READERS};
use crate::pack::Staged;
use crate::record::Record;
use crate::reference::SnapshotRef;
use crate::request::{Caller, Pin};

impl CommitTask {
    pub(super) fn create_namespace(
        &mut self,
        name: SmolStr,
        owner: u32,
        root: Option<(Blobref, Stats)>,
        staged: Vec<Arc<Staged>>,
        reply: Reply<()>,
    ) {
        if self.heads.contains_key(&name) || self.creating.contains(&name) {
            let message = format!("namespace {name} exists already");
            return self.hold_error(reply, EngineError::new(ErrorKind::Exists, message));
        }
        if self.heads.len() + self.creating.len() >= NAMESPACES {
            let message = format!("the store has {NAMESPACES} namespaces already");
            return self.hold_error(reply, EngineError::new(ErrorKind::Limit, message));
        }
        let mut bytes = [0; 8];
        if let Err(error) = self.target.env.entropy.fill(&mut bytes) {
            let message = format!("no random numbers: {error}");
            return self.hold_error(reply, EngineError::new(ErrorKind::Unavailable, message));
        }
        self.building.stage(staged);
        self.creating.insert(name.clone());
        let incarnation = u64::from_be_bytes(bytes).max(1);
        self.building.push(match root {
            None => Record::Created {
                namespace: name,
                owner,
                incarnation,
            },
            Some((root, stats)) => Record::Forked {
                namespace: name,
                owner,
                incarnation,
                root,
                stats,
            },
        });
        self.building.hold(answer(reply));
    }

    pub(super) fn share_namespace(
        &mut self,
        caller: Caller,
        name: SmolStr,
        uid: u32,
        may_read: bool,
        reply: Reply<()>,
    ) {
        let head = self.heads.get(&name).filter(|head| !head.removing);
        let allowed = match head {
            Some(head) => self.store.check_use(caller, head.owner, &name),
            None => Err(self.store.no_namespace(caller, &name)),
        };
        if let Err(error) = allowed {
            return self.hold_error(reply, error);
        }
        // What was accepted before it stands before it in the journal.
        self.close(&name);
        let Some(head) = self.heads.get_mut(&name) else {
            return self.hold_error(reply, EngineError::no_namespace(&name));
        };
        if !may_read {
            head.readers.remove(&uid);
        } else if head.readers.len() < READERS || head.readers.contains(&uid) {
            head.readers.insert(uid);
        } else {
            let message = format!("namespace {name} is shared with {READERS} users already");
            return self.hold_error(reply, EngineError::new(ErrorKind::Limit, message));
        }
        let namespace = name;
        self.building.push(if may_read {
            Record::Shared { namespace, uid }
        } else {
            Record::Withdrawn { namespace, uid }
        });
        self.building.hold(answer(reply));
    }

    pub(super) fn chown_namespace(&mut self, name: SmolStr, owner: u32, reply: Reply<()>) {
        // What was accepted before it stands before it in the journal.
        self.close(&name);
        let Some(head) = self.heads.get_mut(&name).filter(|head| !head.removing) else {
            return self.hold_error(reply, EngineError::no_namespace(&name));
        };
        let before = std::mem::replace(&mut head.owner, owner);
        if before != owner {
            head.readers.remove(&before);
            head.readers.remove(&owner);
            let incarnation = head.namespace.incarnation;
            self.building.push(Record::Given {
                namespace: name,
                incarnation,
                owner,
                before,
            });
        }
        self.hold(answer(reply));
    }

    pub(super) fn remove_namespace(&mut self, name: SmolStr, reply: Reply<()>) {
        self.close(&name);
        let head = self.heads.get_mut(&name).filter(|head| !head.removing);
        let Some(head) = head else {
            // Removing what is not there succeeds, once everything before is durable.
            return self.hold(answer(reply));
        };
        head.removing = true;
        let record = Record::Removed {
            namespace: name.clone(),
            incarnation: head.namespace.incarnation,
            owner: head.owner,
            readers: head.readers.clone(),
        };
        self.open.retain(|open| *open != name);
        self.building.push(record);
        self.building.hold(answer(reply));
    }

    /// Pins a snapshot, whose root the caller found readable.
    pub(super) fn pin(
        &mut self,
        snapshot: SnapshotRef,
        root: RootAt,
        uid: u32,
        lease_ms: Option<u64>,
        staged: Vec<Arc<Staged>>,
        reply: Reply<Pin>,
    ) {
        let guest = !self.store.is_instance_owner(Caller { uid });
        let all = self.catalog.pins.len() + self.pinning.len();
        // Guests together cannot take the places of the instance owner.
        let most = if guest { PINS / 2 } else { PINS };
        if all >= most {
            let message = format!("the store has {all} pins already, at most {most} are allowed");
            return self.hold_error(reply, EngineError::new(ErrorKind::Limit, message));
        }
        if guest {
            // Those that are published, and those that are on their way into the journal.
            let own = self.catalog.pins.values().filter(|pin| pin.uid == uid);
            let coming = self.pinning.values().filter(|(_, by)| *by == uid);
            if own.count() + coming.count() >= GUEST_PINS {
                let message = format!("uid {uid} has {GUEST_PINS} pins already");
                return self.hold_error(reply, EngineError::new(ErrorKind::Limit, message));
            }
        }
        let now = self.now();
        let expires_ms = lease_ms.map(|ms| now.saturating_add(ms));
        let pin = Pin {
            id: self.catalog.new_pin_id(),
            snapshot,
            uid,
            expires_ms,
        };
        let deadline = lease_ms.map(|ms| self.time.uptime().saturating_add(ms));
        self.leases.set(pin.id, deadline);
        self.building.stage(staged);
        self.pinning.insert(pin.id, (root, uid));
        self.building.push(Record::Pinned(pin.clone()));
        self.building.hold(Box::new(move |outcome| {
            let _ = reply.send(outcome.map(|()| pin));
        }));
    }

    pub(super) fn unpin(&mut self, caller: Caller, id: u64, reply: Reply<()>) {
        let pin = self.catalog.pins.get(&id);
        // A pin on a namespace that the caller may not read is not there for it.
        let known = |pin: &&Pin| {
            let name = &pin.snapshot.namespace;
            pin.uid == caller.uid || self.store.readable(caller, name).is_ok()
        };
        let Some(pin) = pin.filter(known) else {
            let error = EngineError::new(ErrorKind::NotFound, format!("there is no pin {id}"));
            return self.hold_error(reply, error);
        };
        if pin.uid != caller.uid
            && let Err(error) = self
                .store
                .check_instance_owner(caller, "another user's pin")
        {
            return self.hold_error(reply, error);
        }
        self.building.push(Record::Unpinned { id });
        self.building.hold(answer(reply));
    }

    /// The leases of pins that were there go on where the newest record left them, so that neither
    /// the time between two daemons nor a clock that was set meanwhile ends any.
    pub(super) fn continue_leases(&mut self) {
        let (now, newest) = (self.time.uptime(), self.catalog.time_ms);
        for pin in self.catalog.pins.values() {
            let left = |at: u64| at.saturating_sub(newest).min(LEASE_MS);
            self.leases
                .set(pin.id, pin.expires_ms.map(|at| now + left(at)));
        }
    }

    /// Releases pins whose lease has run out.
    pub(super) fn expire_leases(&mut self) {
        if self.leases.next().is_none() {
            return;
        }
        let now = self.time.uptime();
        while let Some(id) = self.leases.take_due(now) {
            if self.catalog.pins.contains_key(&id) {
                self.building.push(Record::Unpinned { id });
            } else if !self.pinning.contains_key(&id) {
                self.leases.set(id, None);
            }
        }
    }
}

fn answer(reply: Reply<()>) -> super::group::HeldReply {
    Box::new(move |outcome| {
        let _ = reply.send(outcome);
    })
}
