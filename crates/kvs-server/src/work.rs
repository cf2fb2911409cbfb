//! Requests in flight on one connection: commits, and all others that could not be answered at
//! once.
//!
//! The engine queues the answers of a group together, with one wake. So they leave in one write,
//! and a slow commit delays no other answer.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use kvs_engine::{Answer, Answers, CommitRequest, Engine, EngineError, Token};
use tokio::task::{AbortHandle, JoinSet};

use super::account::Aside;
use super::failure::Failure;
use super::ops;

/// The future of a request's result.
pub(crate) type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Runs a future until it would have to wait. A future that has to wait can then be awaited as
/// usual.
pub(crate) fn at_once<T>(future: &mut Pending<T>) -> Option<T> {
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

/// Unanswered commits.
///
/// Before a commit enters the engine, values too large for the journal must be made durable. Few
/// commits need that time, and later ones wait for them, so commits keep their order of arrival.
/// Answers are returned in the order in which they become ready.
#[derive(Default)]
pub(crate) struct Commits {
    answers: Answers,
    /// Number of commits that the engine has yet to answer.
    entered: usize,
    /// Answers taken from the engine, and refusals of commits that did not enter it.
    ready: VecDeque<Answer>,
    /// Commits that enter the engine together.
    entering: Vec<(Token, CommitRequest)>,
    /// Commits that are being staged or wait for earlier ones.
    staged: VecDeque<(Token, Staging)>,
    /// Bytes of all commits.
    bytes: usize,
}

/// A commit whose large values are being staged.
type Staging = Pending<Result<CommitRequest, EngineError>>;

impl Commits {
    /// Adds a commit. It enters the engine with the next [`enter`](Self::enter) unless it must wait
    /// for staging. `token` has the length of the request, as a measure of the memory it holds.
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

    /// Adds a commit whose staging is under way.
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

    /// Adds a commit that lacks something, such as an upload, so that it can only be answered: with
    /// its recorded outcome if it is a repeat, else with `refusal`.
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

    /// Submits the added commits to the engine.
    pub(crate) fn enter(&mut self, engine: &Engine) {
        let Some((_, first)) = self.entering.first() else {
            return;
        };
        // All of them are of one connection, and so have the same caller.
        let caller = first.caller;
        self.entered += self.entering.len();
        engine.submit_all(caller, &self.answers, self.entering.drain(..));
    }

    /// Number of unanswered commits.
    pub(crate) fn len(&self) -> usize {
        self.ready.len() + self.entered + self.entering.len() + self.staged.len()
    }

    /// Approximate memory that they hold, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The next answer. Also submits commits whose staging is done.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>, engine: &Engine) -> Poll<Answer> {
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
        Poll::Ready((token, answer))
    }
}

/// What a request waits for, and whether it can be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The disk or the engine: bounded by backpressure.
    Slow,
    /// As `Slow`, but of no use once its client is gone.
    Read,
    /// As `Read`, but it may take long: a daemon that shuts down does not wait for it.
    Walk,
    /// External events: bounded like streams, so that it never keeps other requests from being
    /// read.
    Wait,
}

/// Requests that run on their own tasks until they are answered or cancelled.
#[derive(Default)]
pub(crate) struct Running {
    tasks: JoinSet<(u64, u64, Result<ops::Answer, Failure>)>,
    /// By request id.
    open: HashMap<u64, Open>,
    serial: u64,
    waits: usize,
    /// Maximum bytes of all their answers.
    bytes: usize,
}

/// A request that runs.
struct Open {
    /// Identifies its task.
    serial: u64,
    task: AbortHandle,
    kind: Kind,
    /// Maximum bytes of its answer.
    bytes: usize,
}

impl Running {
    /// Spawns a task for a request whose answer has at most `bytes` bytes.
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

    /// Maximum bytes of all answers.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of requests other than waits.
    pub(crate) fn slow(&self) -> usize {
        self.open.len() - self.waits
    }

    /// Number of waits.
    pub(crate) fn waits(&self) -> usize {
        self.waits
    }

    /// Whether a request with this id is running.
    pub(crate) fn contains(&self, id: u64) -> bool {
        self.open.contains_key(&id)
    }

    /// Cancels a request; false if there is none.
    pub(crate) fn cancel(&mut self, id: u64) -> bool {
        let Some(entry) = self.open.remove(&id) else {
            return false;
        };
        self.forget(&entry);
        true
    }

    /// Cancels all requests of a kind; returns their ids.
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

    /// The next answer of any request.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<(u64, Result<ops::Answer, Failure>)> {
        while let Poll::Ready(Some(ended)) = self.tasks.poll_join_next(cx) {
            // A cancelled task has no answer, and a cancelled request's id may be in use again.
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
