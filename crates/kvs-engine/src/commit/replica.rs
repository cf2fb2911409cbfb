//! Checks that a copy of the store that replays the journal arrives at the same state. For
//! simulated runs.
//!
//! The replay starts at the older slot of the root record, passes the newer one, and ends at the
//! published state. The copy is compared at the last two, and so is the root that the journal
//! records for a checkpoint.

use kvs_tree::Blobref;

use super::command::{Command, Reply};
use super::task::CommitTask;
use crate::checkpoint::StoreRoot;
use crate::error::EngineError;
use crate::limits::REPLAY_READ_BYTES;
use crate::request::Tenant;
use crate::state::{Notice, State};

impl CommitTask {
    /// Answers with the root of the published state, once nothing is pending.
    pub(super) fn check(&mut self, reply: Reply<Blobref>) {
        if self.is_idle() {
            let _ = reply.send(self.check_now());
            return;
        }
        let inbox = self.resubmit.clone();
        self.hold(Box::new(move |outcome, _| {
            match (outcome, inbox.upgrade()) {
                (Err(error), _) => drop(reply.send(Err(error))),
                (Ok(()), Some(inbox)) => {
                    let _ = inbox.send(Tenant::Owner, Command::Check { reply });
                }
                (Ok(()), None) => drop(reply.send(Err(EngineError::stopped()))),
            }
        }));
    }

    fn check_now(&self) -> Result<Blobref, EngineError> {
        let slots = self.target.root.load()?;
        let system = self.target.system();
        let read = |root: &crate::root::Root| {
            let root = StoreRoot::decode(&root.payload)?;
            let state = system.state_of(&root.system)?;
            // What was written is identified by its root alone.
            agree(
                "the written state",
                system.root_of(&state)?,
                root.system.state,
            )?;
            Ok::<_, EngineError>((state, root.system.state))
        };
        let newer = slots.current.as_ref().map(read).transpose()?;
        let older = slots.previous.as_ref().map(read).transpose()?;
        let Some((written, root)) = newer else {
            return Err(EngineError::corrupt("there is no root record"));
        };
        let mut copy = older.map_or_else(|| written.clone(), |(state, _)| state);
        self.follow(&mut copy, written.group())?;
        agree("a copy", system.root_of(&copy)?, root)?;
        self.follow(&mut copy, self.published.group())?;
        let published = system.root_of(&self.published)?;
        agree("a copy", system.root_of(&copy)?, published)?;
        match copy.checkpoint() {
            Some((group, recorded)) if group == written.group() => {
                agree("the recorded checkpoint", recorded, root)?;
            }
            _ => {}
        }
        Ok(published)
    }

    /// Replays the journal into a copy, up to group `to`.
    fn follow(&self, copy: &mut State, to: u64) -> Result<(), EngineError> {
        while copy.group() < to {
            let from = copy.group() + 1;
            let groups = self.store.archive.groups(from, to, REPLAY_READ_BYTES)?;
            if groups.is_empty() {
                return Err(EngineError::corrupt(format!("group {from} is not there")));
            }
            for (number, group) in groups {
                let info = group.info(number);
                for record in &group.records {
                    let _: Notice = copy.apply(info, record)?;
                }
            }
        }
        Ok(())
    }
}

fn agree(what: &str, found: Blobref, expected: Blobref) -> Result<(), EngineError> {
    if found == expected {
        return Ok(());
    }
    let message = format!("{what} has the root {found}, and the state of the store {expected}");
    Err(EngineError::corrupt(message))
}
