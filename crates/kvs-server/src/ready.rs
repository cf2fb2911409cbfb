//! The set of a connection's streams that may have something to read.
//!
//! A commit wakes a stream by queueing its slot here, at most once until it is taken out. The
//! session takes slots out in order, so ready streams take turns. The set is the only wake sink of
//! all watches of its connection, so an idle watch costs it one bit. Waking is cheap and may happen
//! on any thread: a short critical section, plus a wake of the task if it sleeps.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use kvs_engine::WakeSink;

/// A stream's index in its connection's table. Slots are reused, so a wake may reach a later
/// stream, which then finds nothing to read.
pub(crate) type Slot = u32;

/// Slots in one word of the set.
const WORD: u32 = u64::BITS;

/// The ready streams of one connection.
#[derive(Debug, Default)]
pub(crate) struct ReadySet {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    line: VecDeque<Slot>,
    /// One bit for each slot: whether it is queued.
    queued: Vec<u64>,
    waker: Option<Waker>,
}

impl State {
    /// Sets or clears the bit of a slot; returns whether that changed it.
    fn mark(&mut self, slot: Slot, queued: bool) -> bool {
        let (index, bit) = ((slot / WORD) as usize, 1 << (slot % WORD));
        if self.queued.len() <= index {
            self.queued.resize(index + 1, 0);
        }
        let Some(word) = self.queued.get_mut(index) else {
            return false;
        };
        let before = *word;
        *word = if queued { before | bit } else { before & !bit };
        *word != before
    }
}

impl ReadySet {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues the slot unless it is queued already.
    pub(crate) fn push(&self, slot: Slot) {
        let waker = {
            let mut state = self.lock();
            if !state.mark(slot, true) {
                return;
            }
            state.line.push_back(slot);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes out the next slot, which may then be queued again. If there is none, the task of `cx`
    /// is woken when one is queued.
    pub(crate) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Slot> {
        let mut state = self.lock();
        match state.line.pop_front() {
            Some(slot) => {
                // Before the watch is read, so that a wake during the read is not lost.
                state.mark(slot, false);
                Poll::Ready(slot)
            }
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl WakeSink for ReadySet {
    fn wake(&self, token: u64) {
        // Wake tokens are slots.
        if let Ok(slot) = Slot::try_from(token) {
            self.push(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn pop(set: &ReadySet) -> Option<Slot> {
        match set.poll_pop(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(slot) => Some(slot),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_stream_stands_in_line_once_and_in_order() {
        let set = ReadySet::default();
        for slot in [100, 2, 100, 63, 64, 100] {
            set.wake(slot);
        }
        let line: Vec<_> = std::iter::from_fn(|| pop(&set)).collect();
        assert_eq!(line, [100, 2, 63, 64]);
    }

    #[test]
    fn a_wake_after_its_turn_puts_it_in_line_again() {
        let set = ReadySet::default();
        set.push(1);
        assert_eq!(pop(&set), Some(1));
        set.push(1);
        assert_eq!((pop(&set), pop(&set)), (Some(1), None));
    }

    #[test]
    fn the_first_of_many_wakes_the_task() {
        struct Count(AtomicUsize);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let count = Arc::new(Count(0.into()));
        let waker = Waker::from(Arc::clone(&count));
        let set = ReadySet::default();
        assert!(set.poll_pop(&mut Context::from_waker(&waker)).is_pending());
        set.push(1);
        set.push(2);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }
}
