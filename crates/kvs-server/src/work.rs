//! The requests of one connection that are not answered yet: commits, and everything else that
//! could not be answered at once.
//!
//! The engine's answers come in one queue, a group's together with one wake: so they leave in one
//! write, and a commit that takes its time holds back no other's answer.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use kvs_engine::{Answer, Answers, CommitRequest, Committed, Engine, EngineError, Token};
use tokio::task::{AbortHandle, JoinSet};

use super::account::Aside;
use super::failure::Failure;
use super::ops;

/// What a request waits for.
pub(crate) type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Runs a future as far as it comes without waiting. One that has to wait can be awaited anywhere.
pub(crate) fn at_once<T>(future: &mut Pending<T>) -> Option<T> {
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

/// Commits that are not answered yet.
///
/// Before a commit may enter the engine, what is too large for the journal has to be made durable.
/// That takes time for few of them, and those that arrived later wait behind: so the order of
/// arrival is the order of commits. Answers come in the order in which they are ready.
#[derive(Default)]
pub(crate) struct Commits {
    answers: Answers,
    /// How many the engine has to answer.
    entered: usize,
    /// Answers that were taken from the engine, and refusals of what did not enter it.
    ready: VecDeque<Answer>,
    /// About to enter the engine, together.
    entering: Vec<(Token, CommitRequest)>,
    /// Not ready to.
    staged: VecDeque<(Token, Staging)>,
    /// Bytes of all of them.
    bytes: usize,
}

/// A commit whose large values are being made durable.
type Staging = Pending<Result<CommitRequest, EngineError>>;

impl Commits {
    /// Takes a commit in; it enters the engine with the next [`enter`](Self::enter) if nothing
    /// keeps it. `token` has the length of the request as a measure of the memory that it holds.
    pub(crate) fn push(
        &mut self,
        token: Token,
        request: CommitRequest,
        (engine, aside): (&Engine, &Aside),
    ) {
        if self.staged.is_empty() && !Engine::must_stage(&request) {
            self.bytes += token.bytes;
            self.entering.push((token, request));
            return;
        }
        let (stager, aside) = (engine.clone(), aside.clone());
        let staged = Box::pin(async move {
            let _place = aside.place().await;
            stager.stage(request).await
        });
        self.push_staged(token, staged);
    }

    /// Takes a commit in whose staging is under way.
    pub(crate) fn push_staged(&mut self, token: Token, mut staging: Staging) {
        self.bytes += token.bytes;
        if self.staged.is_empty()
            && let Some(staged) = at_once(&mut staging)
        {
            self.take_staged(token, staged);
        } else {
            self.staged.push_back((token, staging));
        }
    }

    /// Takes a commit in that lacks something of its own, such as an upload: it can only be
    /// answered.
    pub(crate) fn settle(
        &mut self,
        token: Token,
        request: CommitRequest,
        refusal: EngineError,
        engine: &Engine,
    ) {
        self.enter(engine);
        self.bytes += token.bytes;
        self.entered += 1;
        engine.settle(request, refusal, &self.answers, token);
    }

    fn take_staged(&mut self, token: Token, staged: Result<CommitRequest, EngineError>) {
        match staged {
            Ok(request) => self.entering.push((token, request)),
            Err(error) => self.ready.push_back((token, Err(error))),
        }
    }

    /// Gives what was taken in to the engine.
    pub(crate) fn enter(&mut self, engine: &Engine) {
        let Some((_, first)) = self.entering.first() else {
            return;
        };
        // All of them are of one connection, and so of one caller.
        let caller = first.caller;
        self.entered += self.entering.len();
        engine.submit_all(caller, &self.answers, self.entering.drain(..));
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ready.len() + self.entered + self.entering.len() + self.staged.len()
    }

    /// About how much memory they hold, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The next answer. Also lets those enter that have been staged.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        engine: &Engine,
    ) -> Poll<(u64, Result<Committed, EngineError>)> {
        while let Some((token, staging)) = self.staged.front_mut() {
            let Poll::Ready(staged) = staging.as_mut().poll(cx) else {
                break;
            };
            let token = *token;
            self.staged.pop_front();
            self.take_staged(token, staged);
        }
        self.enter(engine);
        if self.ready.is_empty() && self.entered > 0 {
            ready!(self.answers.poll_take(cx, &mut self.ready));
            self.entered = self.entered.saturating_sub(self.ready.len());
        }
        let Some((token, answer)) = self.ready.pop_front() else {
            return Poll::Pending;
        };
        self.bytes = self.bytes.saturating_sub(token.bytes);
        Poll::Ready((token.id, answer))
    }
}

/// Whether a request is expected to be answered by itself soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It waits for the disk or the engine: bounded by backpressure.
    Slow,
    /// Likewise, and it is of no use to anybody when its client is gone.
    Read,
    /// Likewise, and it may take long: a daemon that shuts down does not wait for it.
    Walk,
    /// It waits for the world: bounded as streams are, so that it never keeps others from being
    /// read.
    Wait,
}

/// Requests that run on tasks of their own until they are answered or cancelled.
#[derive(Default)]
pub(crate) struct Running {
    tasks: JoinSet<(u64, u64, Result<ops::Answer, Failure>)>,
    /// By request id.
    open: HashMap<u64, Open>,
    serial: u64,
    waits: usize,
    /// Bytes that the answers of all of them may have.
    bytes: usize,
}

/// A request that runs.
struct Open {
    /// Under which its task answers.
    serial: u64,
    task: AbortHandle,
    kind: Kind,
    /// That its answer may have.
    bytes: usize,
}

impl Running {
    /// Gives a request, whose answer may have so many bytes, a task.
    pub(crate) fn spawn(
        &mut self,
        aside: &Aside,
        id: u64,
        (kind, bytes): (Kind, usize),
        work: Pending<Result<ops::Answer, Failure>>,
    ) {
        self.serial += 1;
        let serial = self.serial;
        let task = aside.spawn(&mut self.tasks, async move { (id, serial, work.await) });
        self.waits += usize::from(kind == Kind::Wait);
        self.bytes += bytes;
        let open = Open {
            serial,
            task,
            kind,
            bytes,
        };
        if let Some(replaced) = self.open.insert(id, open) {
            self.forget(&replaced);
        }
    }

    /// Bytes that the answers may have.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many are slow.
    pub(crate) fn slow(&self) -> usize {
        self.open.len() - self.waits
    }

    /// How many are waits.
    pub(crate) fn waits(&self) -> usize {
        self.waits
    }

    /// Whether a request with this id is running.
    pub(crate) fn contains(&self, id: u64) -> bool {
        self.open.contains_key(&id)
    }

    /// Stops a request; false if there is none.
    pub(crate) fn cancel(&mut self, id: u64) -> bool {
        let Some(entry) = self.open.remove(&id) else {
            return false;
        };
        self.forget(&entry);
        true
    }

    /// Stops all of a kind; the ids of those requests.
    pub(crate) fn cancel_all(&mut self, kind: Kind) -> Vec<u64> {
        let those = self.open.iter().filter(|(_, open)| open.kind == kind);
        let ids: Vec<u64> = those.map(|(id, _)| *id).collect();
        for id in &ids {
            self.cancel(*id);
        }
        ids
    }

    fn forget(&mut self, open: &Open) {
        open.task.abort();
        self.waits -= usize::from(open.kind == Kind::Wait);
        self.bytes -= open.bytes;
    }

    /// The next answer of any of them.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<(u64, Result<ops::Answer, Failure>)> {
        while let Poll::Ready(Some(ended)) = self.tasks.poll_join_next(cx) {
            // A stopped task has no answer; a stopped request's id may be in use again.
            let Ok((id, serial, answer)) = ended else {
                continue;
            };
            if self.open.get(&id).is_some_and(|open| open.serial == serial)
                && let Some(open) = self.open.remove(&id)
            {
                self.forget(&open);
                return Poll::Ready((id, answer));
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, poll_fn, ready};
    use std::sync::Arc;

    use super::super::account::Account;

    fn aside() -> Aside {
        Aside::new(&Arc::new(Account::owner()))
    }

    #[tokio::test]
    async fn a_cancelled_request_gives_no_answer_even_if_its_id_is_used_again() {
        let (mut running, aside) = (Running::default(), aside());
        running.spawn(&aside, 1, (Kind::Wait, 0), Box::pin(pending()));
        assert_eq!((running.waits(), running.slow()), (1, 0));
        assert!(running.cancel(1) && !running.cancel(1));
        running.spawn(
            &aside,
            1,
            (Kind::Slow, 70),
            Box::pin(ready(Ok(ops::Answer::Done))),
        );
        let (id, answer) = poll_fn(|cx| running.poll_next(cx)).await;
        assert!(id == 1 && matches!(answer, Ok(ops::Answer::Done)));
        assert_eq!((running.waits(), running.slow()), (0, 0));
        assert_eq!(running.bytes(), 0);
    }

    #[tokio::test]
    async fn all_of_a_kind_end_together_and_nothing_else_does() {
        let (mut running, aside) = (Running::default(), aside());
        running.spawn(&aside, 1, (Kind::Wait, 0), Box::pin(pending()));
        running.spawn(&aside, 2, (Kind::Slow, 80), Box::pin(pending()));
        running.spawn(&aside, 3, (Kind::Read, 9), Box::pin(pending()));
        running.spawn(&aside, 4, (Kind::Walk, 7), Box::pin(pending()));
        assert_eq!(running.cancel_all(Kind::Wait), [1]);
        assert_eq!((running.waits(), running.slow()), (0, 3));
        assert_eq!(running.cancel_all(Kind::Read), [3]);
        assert_eq!(running.cancel_all(Kind::Walk), [4]);
        assert_eq!((running.waits(), running.slow()), (0, 1));
        assert_eq!(running.bytes(), 80);
    }
}
