//! Answers that wait until everything is durable that they could tell of.

use super::command::Reply;
use super::group::HeldReply;
use super::task::CommitTask;
use crate::answers::CommitReply;
use crate::error::EngineError;

impl CommitTask {
    /// Gives an answer once everything that it could tell of is durable.
    pub(super) fn hold(&mut self, reply: HeldReply) {
        if self.is_idle() {
            // It tells of the newest state as a read does.
            reply(self.store.check_owned(), &mut self.wakes);
        } else {
            self.building.hold(reply);
        }
    }

    /// Gives an error as an answer, likewise.
    pub(super) fn hold_error<T: Send + 'static>(&mut self, reply: Reply<T>, error: EngineError) {
        self.hold(Box::new(move |outcome, _| {
            // The error that dropped everything is the better answer.
            let _ = reply.send(Err(outcome.err().unwrap_or(error)));
        }));
    }

    /// Gives a transaction its refusal, likewise.
    pub(super) fn hold_refusal(&mut self, reply: CommitReply, error: EngineError) {
        self.hold(Box::new(move |outcome, wakes| {
            reply.send(Err(outcome.err().unwrap_or(error)), wakes);
        }));
    }
}
