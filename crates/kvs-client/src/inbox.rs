//! The way from the link to the consumer of a stream: events in order, each with the credit that it
//! holds.
//!
//! How many events wait is bounded by the stream's credit; bookmarks cost none, so one that is not
//! taken yet is replaced by the next. A queue without events holds no memory of its own.

use crate::error::ClientError;
use crate::prefetch::Cost;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Room for so many events is kept when the queue is empty.
const KEPT_CAPACITY: usize = 16;

/// What waits for the consumer.
#[derive(Debug)]
pub(crate) struct Entry<E> {
    pub(crate) event: E,
    /// Goes back to the daemon when the consumer takes the event.
    pub(crate) cost: Cost,
    /// Not for the consumer, only for what the stream knows of itself.
    pub(crate) quiet: bool,
}

#[derive(Debug)]
struct State<E> {
    queue: VecDeque<Entry<E>>,
    /// Told after all events.
    end: Option<ClientError>,
    closed: bool,
    waker: Option<Waker>,
}

/// The link's end. Dropping it ends the stream after what is queued.
#[derive(Debug)]
pub(crate) struct Sender<E>(Arc<Mutex<State<E>>>);

/// The consumer's end.
#[derive(Debug)]
pub(crate) struct Receiver<E>(Arc<Mutex<State<E>>>);

pub(crate) fn inbox<E>() -> (Sender<E>, Receiver<E>) {
    let state = Arc::new(Mutex::new(State {
        queue: VecDeque::new(),
        end: None,
        closed: false,
        waker: None,
    }));
    (Sender(state.clone()), Receiver(state))
}

fn lock<E>(state: &Mutex<State<E>>) -> MutexGuard<'_, State<E>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<E> Sender<E> {
    /// An event that holds credit.
    pub(crate) fn event(&self, event: E, cost: Cost) {
        self.with(|state| {
            state.queue.push_back(Entry {
                event,
                cost,
                quiet: false,
            })
        });
    }

    /// An event of the link's own.
    pub(crate) fn notice(&self, event: E) {
        self.event(event, Cost::default());
    }

    /// A bookmark. Takes the place of one that is still the last in the queue, as `is_bookmark`
    /// tells.
    pub(crate) fn bookmark(&self, event: E, quiet: bool, is_bookmark: fn(&E) -> bool) {
        self.with(|state| match state.queue.back_mut() {
            Some(last) if is_bookmark(&last.event) => {
                last.event = event;
                last.quiet &= quiet;
            }
            _ => state.queue.push_back(Entry {
                event,
                cost: Cost::default(),
                quiet,
            }),
        });
    }

    /// The stream has ended.
    pub(crate) fn end(self, error: ClientError) {
        self.with(|state| state.end = Some(error));
    }

    fn with(&self, step: impl FnOnce(&mut State<E>)) {
        let waker = {
            let mut state = lock(&self.0);
            step(&mut state);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<E> Drop for Sender<E> {
    fn drop(&mut self) {
        self.with(|state| state.closed = true);
    }
}

impl<E> Receiver<E> {
    /// The next entry; the error that ended the stream; `None` when the link is gone.
    pub(crate) fn poll(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Entry<E>, ClientError>>> {
        let mut state = lock(&self.0);
        if let Some(entry) = state.queue.pop_front() {
            if state.queue.is_empty() {
                state.queue.shrink_to(KEPT_CAPACITY);
            }
            return Poll::Ready(Some(Ok(entry)));
        }
        if let Some(error) = state.end.take() {
            return Poll::Ready(Some(Err(error)));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(receiver: &Receiver<u32>) -> Option<(u32, bool)> {
        match receiver.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(entry))) => Some((entry.event, entry.quiet)),
            _ => None,
        }
    }

    #[test]
    fn bookmarks_that_nobody_takes_do_not_pile_up() {
        let (sender, receiver) = inbox();
        let odd: fn(&u32) -> bool = |event| event % 2 == 1;
        sender.notice(2);
        for mark in [3, 5, 7] {
            sender.bookmark(mark, mark != 5, odd);
        }
        sender.notice(4);
        sender.bookmark(9, true, odd);
        let got: Vec<_> = std::iter::from_fn(|| take(&receiver)).collect();
        assert_eq!(got, [(2, false), (7, false), (4, false), (9, true)]);
    }

    #[test]
    fn what_is_queued_is_told_before_the_end() {
        let (sender, receiver) = inbox();
        sender.notice(2);
        sender.end(ClientError::disconnected("lost"));
        assert_eq!(take(&receiver), Some((2, false)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(
            receiver.poll(&mut context),
            Poll::Ready(Some(Err(_)))
        ));
        assert!(matches!(receiver.poll(&mut context), Poll::Ready(None)));
    }
}
