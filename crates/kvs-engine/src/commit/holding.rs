//! Holds answers until everything that they can reveal is durable.

use super::command::Reply;
use super::group::HeldReply;
use super::task::CommitTask;
use crate::answers::CommitReply;
use crate::error::EngineError;

impl CommitTask {
    /// Delivers an answer once everything that it can reveal is durable.
    pub(super) fn hold(&mut self, reply: HeldReply) {
        if self.is_idle() {
            // Nothing is pending, so it reveals only what reads see too.
            reply(self.store.check_owned(), &mut self.wakes);
        } else {
            self.building.hold(reply);
        }
    }

    /// Answers with an error, held like [`hold`](Self::hold).
    pub(super) fn hold_error<T: Send + 'static>(&mut self, reply: Reply<T>, error: EngineError) {
        self.hold(Box::new(move |outcome, _| {
            // If the group was dropped, its error takes precedence.
            let _ = reply.send(Err(outcome.err().unwrap_or(error)));
        }));
    }

    /// Refuses a transaction, held like [`hold`](Self::hold).
    pub(super) fn hold_refusal(&mut self, reply: CommitReply, error: EngineError) {
        self.hold(Box::new(move |outcome, wakes| {
            reply.send(Err(outcome.err().unwrap_or(error)), wakes);
        }));
    }
}
