//! Dispatches commands. A store that has failed or is stopping refuses all of them.

use super::command::{Command, refuse};
use super::task::CommitTask;
use crate::error::EngineError;

impl CommitTask {
    /// Dispatches a command.
    pub(super) fn handle(&mut self, command: Command) {
        let refusal = self.life.borrow().failure().cloned();
        let refusal = refusal.or_else(|| self.stopping.is_some().then(EngineError::stopped));
        if let Some(error) = refusal {
            return refuse(command, error, &mut self.wakes);
        }
        match command {
            Command::Commit { request, reply } => self.commit(request, reply),
            Command::Settle {
                request,
                refusal,
                reply,
            } => self.settle(request, refusal, reply),
            Command::Create {
                name,
                owner,
                root,
                staged,
                reply,
            } => self.create_namespace(name, owner, root, staged, reply),
            Command::Share {
                caller,
                name,
                principal,
                may_read,
                reply,
            } => self.share_namespace(caller, name, principal, may_read, reply),
            Command::Chown { name, owner, reply } => self.chown_namespace(name, owner, reply),
            Command::Remove { name, reply } => self.remove_namespace(name, reply),
            Command::Pin {
                snapshot,
                root,
                caller,
                lease_ms,
                staged,
                reply,
            } => {
                self.pin(snapshot, root, caller, lease_ms, staged, reply);
            }
            Command::Unpin { caller, id, reply } => self.unpin(caller, id, reply),
            Command::Sync { reply } => self.sync(reply),
            Command::Checkpoint { reply } => self.checkpoint_wanted.push(reply),
            Command::Check { reply } => self.check(reply),
            Command::Shutdown { reply } => self.stop(reply),
        }
    }
}
