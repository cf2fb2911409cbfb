//! Long work in slices: after a number of visits (RFC 0001) whoever works gives way to others, so
//! that no request holds anybody up, however much of a tree it has to read. Work is dropped between
//! two slices, with the future that does it.
//!
//! Everything that may visit many nodes asks a [`Pace`] how far the present slice may go, and tells
//! it how far it went. The first slice is short: it is done where the request is taken, in one go with
//! others. Counts and the longest slice, in time of the processor, are kept for `status`.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Clock;
use crate::limits::{BYTES_A_VISIT, FIRST_SLICE_PART};
use crate::request::Caller;

/// Visits for which so many bytes are copied or encoded.
#[must_use]
pub fn visits_of_bytes(bytes: usize) -> usize {
    bytes / BYTES_A_VISIT
}

/// What was done in slices since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SliceCounts {
    /// Slices.
    pub slices: u64,
    /// Visits in all of them.
    pub visits: u64,
    /// Most visits in one.
    pub most_visits: u64,
    /// Longest time of a processor that one took, in nanoseconds. 0 where time is simulated.
    pub longest_ns: u64,
}

/// How long work in a store is cut, and what was done so far.
pub struct Slices {
    clock: Arc<dyn Clock>,
    visits: usize,
    slices: AtomicU64,
    visited: AtomicU64,
    most_visits: AtomicU64,
    longest_ns: AtomicU64,
}

impl Slices {
    /// Slices of so many visits.
    pub(crate) fn new(clock: Arc<dyn Clock>, visits: usize) -> Self {
        Self {
            clock,
            visits: visits.max(1),
            slices: AtomicU64::new(0),
            visited: AtomicU64::new(0),
            most_visits: AtomicU64::new(0),
            longest_ns: AtomicU64::new(0),
        }
    }

    /// What was done so far.
    pub fn counts(&self) -> SliceCounts {
        SliceCounts {
            slices: self.slices.load(Ordering::Relaxed),
            visits: self.visited.load(Ordering::Relaxed),
            most_visits: self.most_visits.load(Ordering::Relaxed),
            longest_ns: self.longest_ns.load(Ordering::Relaxed),
        }
    }

    /// The pace of a piece of work for a caller that is about to begin.
    pub fn pace(self: &Arc<Self>, caller: Caller) -> Pace {
        Pace {
            left: (self.visits / FIRST_SLICE_PART).max(1),
            slices: self.clone(),
            caller,
            made: 0,
            ended: 0,
        }
    }

    /// Lets others have their turn before more is done for this caller.
    async fn give_way(&self, _caller: Caller) {
        tokio::task::yield_now().await;
    }

    /// Does some work and takes notice of how long each part of it takes, from one wait to the next.
    pub async fn timed<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|cx| {
            let start = self.clock.thread_ns();
            let done = work.as_mut().poll(cx);
            let taken = self.clock.thread_ns().saturating_sub(start);
            self.longest_ns.fetch_max(taken, Ordering::Relaxed);
            done
        })
        .await
    }

    fn note(&self, visits: usize) {
        let visits = visits as u64;
        self.slices.fetch_add(1, Ordering::Relaxed);
        self.visited.fetch_add(visits, Ordering::Relaxed);
        self.most_visits.fetch_max(visits, Ordering::Relaxed);
    }
}

/// How one piece of work is cut into slices.
pub struct Pace {
    slices: Arc<Slices>,
    caller: Caller,
    /// Visits that the present slice may still make.
    left: usize,
    /// Visits that the present slice made.
    made: usize,
    /// Slices before it.
    ended: usize,
}

impl Pace {
    /// Visits that the present slice may still make; at least one.
    pub fn left(&self) -> usize {
        self.left.max(1)
    }

    /// Slices that are over.
    pub fn ended(&self) -> usize {
        self.ended
    }

    /// Takes notice of visits. At the end of a slice others have their turn.
    pub async fn spend(&mut self, visits: usize) {
        self.note(visits);
        if self.left == 0 {
            self.give_way().await;
        }
    }

    /// Takes notice of visits where others cannot have their turn yet; whether the slice is over.
    pub fn note(&mut self, visits: usize) -> bool {
        self.made = self.made.saturating_add(visits);
        self.left = self.left.saturating_sub(visits);
        self.left == 0
    }

    /// Ends the slice.
    pub async fn give_way(&mut self) {
        self.close();
        self.ended += 1;
        self.slices.give_way(self.caller).await;
        self.left = self.slices.visits;
    }

    /// Takes notice of work on another thread that was worth so many slices.
    pub(crate) fn beside(&mut self, slices: usize) {
        self.ended += slices;
    }

    fn close(&mut self) {
        if self.made > 0 {
            self.slices.note(self.made);
            self.made = 0;
        }
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimClock;

    const CALLER: Caller = Caller { uid: 1 };

    #[tokio::test]
    async fn work_is_cut_and_counted() {
        let slices = Arc::new(Slices::new(Arc::new(SimClock::new(0)), 80));
        let mut pace = slices.pace(CALLER);
        assert_eq!(pace.left(), 80 / FIRST_SLICE_PART);
        pace.spend(1_000).await;
        assert_eq!(pace.left(), 80);
        pace.spend(30).await;
        assert_eq!((pace.left(), pace.ended()), (50, 1));
        pace.spend(50).await;
        pace.spend(7).await;
        drop(pace);
        let counts = slices.counts();
        assert_eq!((counts.slices, counts.visits), (3, 1_087));
        assert_eq!((counts.most_visits, counts.longest_ns), (1_000, 0));
    }

    #[tokio::test]
    async fn work_that_is_dropped_half_way_is_counted_and_does_not_go_on() {
        let slices = Arc::new(Slices::new(Arc::new(SimClock::new(0)), 10));
        let mut pace = slices.pace(CALLER);
        let mut endless = Box::pin(async move {
            loop {
                pace.spend(10).await;
            }
        });
        for _ in 0..5 {
            assert!(poll_once(&mut endless).is_none());
        }
        drop(endless);
        assert_eq!(slices.counts().slices, 5);
    }

    /// Polls once.
    fn poll_once<F: Future + Unpin>(work: &mut F) -> Option<F::Output> {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::Pin::new(work).poll(&mut cx) {
            std::task::Poll::Ready(done) => Some(done),
            std::task::Poll::Pending => None,
        }
    }
}
