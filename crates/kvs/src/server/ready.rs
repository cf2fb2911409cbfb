//! The set of a connection's watches that may have something to read.
//!
//! A commit wakes a watch by putting its id here, once however often it is woken; the session
//! takes the ids out in order, which gives each ready watch its turn. Waking is cheap and may
//! happen on any thread: one swap, and for the first of many also a push and a wake of the task.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Names a stream within its connection: the id of the request that opened it.
pub(crate) type StreamId = u64;

/// The ready watches of one connection.
#[derive(Debug, Default)]
pub(crate) struct ReadySet {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<Arc<Ticket>>,
    waker: Option<Waker>,
}

/// A watch's place in its connection's ready set.
#[derive(Debug)]
pub(crate) struct Ticket {
    id: StreamId,
    queued: AtomicBool,
}

impl Ticket {
    /// A ticket for the stream `id`, not queued yet.
    pub(crate) fn new(id: StreamId) -> Arc<Ticket> {
        Arc::new(Ticket {
            id,
            queued: AtomicBool::new(false),
        })
    }

    /// The stream that it stands for.
    pub(crate) fn id(&self) -> StreamId {
        self.id
    }
}

impl ReadySet {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the ticket in line, unless it stands there already.
    pub(crate) fn push(&self, ticket: &Arc<Ticket>) {
        if ticket.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let waker = {
            let mut state = self.lock();
            state.ready.push_back(Arc::clone(ticket));
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The next ticket in line, which from now on can be put in line again; when there is none, the
    /// task of `cx` is woken once there is.
    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Arc<Ticket>> {
        let mut state = self.lock();
        match state.ready.pop_front() {
            Some(ticket) => {
                // Before the watch is read: a wake that comes while it is must not be lost.
                ticket.queued.store(false, Ordering::Release);
                Poll::Ready(ticket)
            }
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pop(set: &ReadySet) -> Option<StreamId> {
        match set.poll_pop(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ticket) => Some(ticket.id()),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_watch_stands_in_line_once_and_in_order() {
        let set = ReadySet::default();
        let (one, two) = (Ticket::new(1), Ticket::new(2));
        for ticket in [&one, &two, &one, &one] {
            set.push(ticket);
        }
        assert_eq!([pop(&set), pop(&set), pop(&set)], [Some(1), Some(2), None]);
    }

    #[test]
    fn a_wake_after_its_turn_puts_it_in_line_again() {
        let set = ReadySet::default();
        let ticket = Ticket::new(1);
        set.push(&ticket);
        assert_eq!(pop(&set), Some(1));
        set.push(&ticket);
        assert_eq!(pop(&set), Some(1));
    }

    #[test]
    fn the_first_of_many_wakes_the_task() {
        struct Count(std::sync::atomic::AtomicUsize);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let count = Arc::new(Count(0.into()));
        let waker = Waker::from(Arc::clone(&count));
        let set = ReadySet::default();
        assert!(set.poll_pop(&mut Context::from_waker(&waker)).is_pending());
        set.push(&Ticket::new(1));
        set.push(&Ticket::new(2));
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }
}
