//! Delivers answers to transactions: one queue for each session. The engine fills it and wakes the
//! session once for all answers that are ready together.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::error::EngineError;
use crate::request::Committed;

/// A session's identification of a request. The engine only returns it with the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Token {
    /// The session's number of the request.
    pub id: u64,
    /// What the session counts the request as, in bytes.
    pub bytes: usize,
    /// Whether the session's answer has the root.
    pub root: bool,
}

/// The answer to a transaction, and the token of its request.
pub type Answer = (Token, Result<Committed, EngineError>);

/// Answers not taken yet, in the order in which they became ready.
#[derive(Debug, Default)]
struct Queue {
    ready: VecDeque<Answer>,
    waker: Option<Waker>,
    /// Whether the receiver is gone, so that answers are dropped.
    closed: bool,
}

#[derive(Debug, Default)]
struct Shared(Mutex<Queue>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an answer. Returns the waker of the session, if it waits.
    fn push(&self, answer: Answer) -> Option<Waker> {
        let mut queue = self.lock();
        if !queue.closed {
            queue.ready.push_back(answer);
        }
        queue.waker.take()
    }
}

/// Receives the answers to a session's transactions. Dropping it does not cancel any transaction.
#[derive(Debug, Default)]
pub struct Answers(Arc<Shared>);

impl Answers {
    /// Moves all ready answers to the end of `taken`, in the order in which they became ready.
    /// Pending if there are none.
    pub fn poll_take(&mut self, cx: &Context<'_>, taken: &mut VecDeque<Answer>) -> Poll<()> {
        let mut queue = self.0.lock();
        if queue.ready.is_empty() {
            match &mut queue.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        if taken.is_empty() {
            mem::swap(&mut queue.ready, taken);
        } else {
            taken.append(&mut queue.ready);
        }
        Poll::Ready(())
    }

    /// The reply handle for a request.
    pub(crate) fn reply(&self, token: Token) -> CommitReply {
        CommitReply {
            to: Some(self.0.clone()),
            token,
        }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.closed = true;
        let unread = mem::take(&mut queue.ready);
        drop(queue);
        drop(unread);
    }
}

/// Delivers the answer to one transaction. If dropped, it answers that the store has stopped.
#[derive(Debug)]
#[must_use = "somebody waits for it"]
pub(crate) struct CommitReply {
    to: Option<Arc<Shared>>,
    token: Token,
}

impl CommitReply {
    /// Delivers the answer. The session is woken with the others in `wakes`.
    pub(crate) fn send(mut self, answer: Result<Committed, EngineError>, wakes: &mut Wakes) {
        if let Some(to) = self.to.take() {
            wakes.0.extend(to.push((self.token, answer)));
        }
    }
}

impl Drop for CommitReply {
    fn drop(&mut self) {
        if let Some(to) = self.to.take()
            && let Some(waker) = to.push((self.token, Err(EngineError::stopped())))
        {
            waker.wake();
        }
    }
}

/// Sessions that have answers to take. They are woken when this is dropped, if not before.
#[derive(Debug, Default)]
pub(crate) struct Wakes(Vec<Waker>);

impl Wakes {
    pub(crate) fn wake(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        self.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn token(id: u64) -> Token {
        Token {
            id,
            bytes: 7,
            root: true,
        }
    }

    fn refusal() -> Result<Committed, EngineError> {
        Err(EngineError::corrupt("none"))
    }

    fn ids(taken: &VecDeque<Answer>) -> Vec<u64> {
        taken.iter().map(|(token, _)| token.id).collect()
    }

    #[test]
    fn answers_that_are_ready_together_wake_their_session_once() {
        let (mut answers, woken) = (Answers::default(), Arc::new(Woken::default()));
        let waker = Waker::from(woken.clone());
        let (cx, mut taken) = (Context::from_waker(&waker), VecDeque::new());
        let mut replies: Vec<_> = (0..5).map(|id| answers.reply(token(id))).collect();
        assert!(answers.poll_take(&cx, &mut taken).is_pending());
        let mut wakes = Wakes::default();
        for at in [3, 0, 2] {
            replies.remove(at).send(refusal(), &mut wakes);
        }
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        wakes.wake();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(answers.poll_take(&cx, &mut taken).is_ready());
        assert_eq!(ids(&taken), [3, 0, 4]);
        // What was not taken yet precedes later answers.
        replies.remove(0).send(refusal(), &mut wakes);
        assert!(answers.poll_take(&cx, &mut taken).is_ready());
        assert_eq!(ids(&taken), [3, 0, 4, 1]);
        assert!(answers.poll_take(&cx, &mut taken).is_pending());
        drop(replies);
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
        assert!(answers.poll_take(&cx, &mut taken).is_ready());
        let last = taken.pop_back().unwrap();
        assert_eq!(last.0, token(2));
        assert_eq!(last.1.unwrap_err().kind, crate::ErrorKind::Unavailable);
    }

    #[test]
    fn answers_to_a_session_that_has_ended_are_not_kept() {
        let answers = Answers::default();
        let (shared, mut wakes) = (answers.0.clone(), Wakes::default());
        let (before, after) = (answers.reply(token(1)), answers.reply(token(2)));
        before.send(refusal(), &mut wakes);
        assert_eq!(shared.lock().ready.len(), 1);
        drop(answers);
        after.send(refusal(), &mut wakes);
        assert!(shared.lock().ready.is_empty() && wakes.0.is_empty());
    }
}
