//! Namespaces and pins: changes that have records of their own, besides the trees.

use std::sync::Arc;

use kvs_tree::{Blobref, Stats};
use smol_str::SmolStr;

use super::command::Reply;
use super::group::HeldReply;
use super::task::CommitTask;
use crate::error::{EngineError, ErrorKind};
use crate::history::RootAt;
use crate::pack::Staged;
use crate::reference::SnapshotRef;
use crate::request::{PinInfo, Principal};
use crate::state::{Change, Notice, Record};

impl CommitTask {
    pub(super) fn create_namespace(
        &mut self,
        name: SmolStr,
        owner: Principal,
        root: Option<(Blobref, Stats)>,
        staged: Vec<Arc<Staged>>,
        reply: Reply<()>,
    ) {
        let mut bytes = [0; 8];
        if let Err(error) = self.target.env.entropy.fill(&mut bytes) {
            let message = format!("no random numbers: {error}");
            return self.hold_error(reply, EngineError::new(ErrorKind::Unavailable, message));
        }
        let created = self.change(Change::Create {
            name,
            owner,
            incarnation: u64::from_be_bytes(bytes).max(1),
            root,
        });
        if created.is_ok() {
            self.building.stage(staged);
        }
        self.answer(reply, created);
    }

    pub(super) fn share_namespace(
        &mut self,
        caller: Principal,
        name: SmolStr,
        principal: Principal,
        may_read: bool,
        reply: Reply<()>,
    ) {
        let shared = self.change_of(&name.clone(), |name| Change::Share {
            caller,
            name,
            principal,
            may_read,
        });
        self.answer(reply, shared);
    }

    pub(super) fn chown_namespace(&mut self, name: SmolStr, owner: Principal, reply: Reply<()>) {
        let given = self.change_of(&name, |name| Change::Give { name, owner });
        self.answer(reply, given);
    }

    pub(super) fn remove_namespace(&mut self, name: SmolStr, reply: Reply<()>) {
        let removed = self.change_of(&name, |name| Change::Remove { name });
        self.answer(reply, removed);
    }

    /// Pins a snapshot whose root the caller found readable.
    pub(super) fn pin(
        &mut self,
        snapshot: SnapshotRef,
        root: RootAt,
        caller: Principal,
        lease_ms: Option<u64>,
        staged: Vec<Arc<Staged>>,
        reply: Reply<PinInfo>,
    ) {
        let pinned = self.change(Change::Pin {
            snapshot,
            caller,
            lease_ms,
        });
        let pin = match pinned {
            Ok(Some(Notice::Pinned(pin))) => pin,
            Ok(_) => return,
            Err(error) => return self.hold_error(reply, error),
        };
        let deadline = self.leases.begin(pin.id, lease_ms, self.time.uptime());
        self.building.stage(staged);
        self.pinning.insert(pin.id, (root, deadline));
        let store = self.store.clone();
        self.hold(Box::new(move |outcome, _| {
            let _ = reply.send(outcome.map(|()| store.pin_info(&pin, deadline)));
        }));
    }

    pub(super) fn unpin(&mut self, caller: Principal, id: u64, reply: Reply<()>) {
        let unpinned = self.change(Change::Unpin { caller, id });
        self.answer(reply, unpinned);
    }

    /// Starts the leases of existing pins again, so that neither the time between two daemons nor a
    /// clock change expires any.
    pub(super) fn renew_leases(&mut self) {
        let uptime = self.time.uptime();
        for pin in self.published.pins() {
            self.leases.begin(pin.id, pin.lease_ms, uptime);
        }
    }

    /// Advances lease time if a tick is due, and releases pins whose lease has expired. `waiting`
    /// is how many commands wait.
    pub(super) fn tick(&mut self, waiting: usize) {
        if self.leases.is_empty() || self.has_failed() {
            return;
        }
        if !self.leases.tick(self.time.uptime(), self.taken, waiting) {
            return;
        }
        while let Some(id) = self.leases.take_due() {
            if self.head.pin(id).is_none() && self.published.pin(id).is_none() {
                // Its group was dropped, or its namespace is gone.
                self.leases.end(id);
            } else if let Err(error) = self.change(Change::EndLease { id }) {
                tracing::error!("cannot end the lease of pin {id}: {error}");
            }
        }
    }

    /// Decides a change of one namespace. Everything accepted for it precedes the change in the
    /// journal.
    fn change_of(
        &mut self,
        name: &SmolStr,
        change: impl FnOnce(SmolStr) -> Change,
    ) -> Result<Option<Notice>, EngineError> {
        let records = self.decide(change(name.clone()))?;
        if !records.is_empty() {
            self.close(name);
            self.open.retain(|open| open != name);
        }
        self.take_all(records)
    }

    /// Decides a change that is not of one namespace.
    fn change(&mut self, change: Change) -> Result<Option<Notice>, EngineError> {
        let records = self.decide(change)?;
        self.take_all(records)
    }

    fn decide(&self, change: Change) -> Result<Vec<Record>, EngineError> {
        self.head.decide(self.store.authority(), change)
    }

    /// Records what the store itself did since the last group: this owner's first group,
    /// checkpoints, trims. Such a record waits for a group that is written anyway.
    pub(super) fn note_upkeep(&mut self) -> Result<(), EngineError> {
        let newest = self.head.epoch().map(|(number, _)| number);
        if newest != Some(self.epoch.number) {
            self.take(Record::epoch(self.epoch))?;
        }
        if let Some((group, root)) = self.checkpointed
            && self.head.checkpoint() != self.checkpointed
        {
            self.take(Record::Checkpointed { group, root })?;
        }
        if self.head.trimmed_to() < self.trimmed_to {
            let to = self.trimmed_to;
            self.take(Record::Trimmed { to })?;
        }
        Ok(())
    }

    /// Adds records to the group that is being built. Returns the notice of the last one.
    fn take_all(&mut self, records: Vec<Record>) -> Result<Option<Notice>, EngineError> {
        let mut last = None;
        for record in records {
            last = Some(self.take(record)?);
        }
        Ok(last)
    }

    /// Adds a record to the group that is being built and applies it to the head.
    fn take(&mut self, record: Record) -> Result<Notice, EngineError> {
        let info = self.group_info();
        let notice = self.head.apply(info, &record)?;
        self.building.push(record);
        Ok(notice)
    }

    /// Answers once everything that the answer can reveal is durable.
    fn answer(&mut self, reply: Reply<()>, decided: Result<Option<Notice>, EngineError>) {
        match decided {
            Ok(_) => self.hold(answer(reply)),
            Err(error) => self.hold_error(reply, error),
        }
    }
}

fn answer(reply: Reply<()>) -> HeldReply {
    Box::new(move |outcome, _| {
        let _ = reply.send(outcome);
    })
}
