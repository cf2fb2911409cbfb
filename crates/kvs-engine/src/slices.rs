//! Long work in slices. After a number of visits (RFC 0001), work yields to other tasks, so that no
//! request blocks others, however much of a tree it has to read. Work can be dropped between two
//! slices, together with its future.
//!
//! Code that may visit many nodes asks a [`Pace`] how many visits the current slice has left, and
//! reports the visits that it made. Slices of guests are shorter than those of the instance owner,
//! since each step of another request may have to wait for one. The first slice is shorter: it runs
//! where the request is taken, in a row with other requests. Counts and the longest slices, in
//! processor time, are kept for `status`.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Clock;
use crate::limits::{BYTES_A_VISIT, FIRST_SLICE_PART, GUEST_SLICE_PART, SLICE_NS};
use crate::request::{Principal, Tenant};

/// Visits that copying or encoding `bytes` bytes counts as.
#[must_use]
pub fn visits_of_bytes(bytes: usize) -> usize {
    bytes / BYTES_A_VISIT
}

/// The purpose of a slice. The longest slice of each kind is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliceKind {
    /// Listing a directory.
    List,
    /// Reading a part of a long value.
    Read,
    /// Many lookups in one request.
    LookupMany,
    /// Nodes for clients that keep trees.
    Nodes,
    /// Reading the log.
    Log,
    /// Events of a watch.
    Watch,
}

impl SliceKind {
    /// All kinds, in the order of [`SliceCounts::longest_ns_of`].
    pub const ALL: [Self; 6] = [
        Self::List,
        Self::Read,
        Self::LookupMany,
        Self::Nodes,
        Self::Log,
        Self::Watch,
    ];
}

/// Slices since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SliceCounts {
    /// Number of slices.
    pub slices: u64,
    /// Visits in all slices.
    pub visits: u64,
    /// Most visits in one slice.
    pub most_visits: u64,
    /// Processor time of all slices, in nanoseconds. 0 in simulated time.
    pub total_ns: u64,
    /// Slices that took longer than `SLICE_NS`.
    pub long: u64,
    /// The longest slice of each kind, in the order of [`SliceKind::ALL`].
    pub longest_ns_of: [u64; SliceKind::ALL.len()],
}

impl SliceCounts {
    /// The longest slice, in nanoseconds.
    #[must_use]
    pub fn longest_ns(&self) -> u64 {
        self.longest_ns_of.into_iter().max().unwrap_or(0)
    }
}

/// The slice length of a store, and counters of its slices.
pub struct Slices {
    clock: Arc<dyn Clock>,
    visits: usize,
    instance_owner: u32,
    slices: AtomicU64,
    visited: AtomicU64,
    most_visits: AtomicU64,
    total_ns: AtomicU64,
    long: AtomicU64,
    longest_ns_of: [AtomicU64; SliceKind::ALL.len()],
}

impl Slices {
    /// Slices of `visits` visits; those of guests, who are not the instance owner, have fewer.
    pub(crate) fn new(clock: Arc<dyn Clock>, visits: usize, instance_owner: u32) -> Self {
        Self {
            clock,
            visits: visits.max(1),
            instance_owner,
            slices: AtomicU64::new(0),
            visited: AtomicU64::new(0),
            most_visits: AtomicU64::new(0),
            total_ns: AtomicU64::new(0),
            long: AtomicU64::new(0),
            longest_ns_of: Default::default(),
        }
    }

    /// The counts so far.
    pub fn counts(&self) -> SliceCounts {
        SliceCounts {
            slices: self.slices.load(Ordering::Relaxed),
            visits: self.visited.load(Ordering::Relaxed),
            most_visits: self.most_visits.load(Ordering::Relaxed),
            total_ns: self.total_ns.load(Ordering::Relaxed),
            long: self.long.load(Ordering::Relaxed),
            longest_ns_of: self
                .longest_ns_of
                .each_ref()
                .map(|longest| longest.load(Ordering::Relaxed)),
        }
    }

    /// The pace of new work for a caller.
    pub fn pace(self: &Arc<Self>, caller: Principal) -> Pace {
        let part = match Tenant::of(caller, self.instance_owner) {
            Tenant::Owner => 1,
            Tenant::Guest(_) => GUEST_SLICE_PART,
        };
        let visits = (self.visits / part).max(1);
        Pace {
            visits,
            part,
            left: (visits / FIRST_SLICE_PART).max(1),
            slices: self.clone(),
            caller,
            made: 0,
            ended: 0,
        }
    }

    /// Yields to other tasks.
    async fn give_way(&self, _caller: Principal) {
        tokio::task::yield_now().await;
    }

    /// Runs some work and records the processor time of each poll.
    pub async fn timed<F: Future>(&self, kind: SliceKind, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|cx| {
            let start = self.clock.thread_ns();
            let done = work.as_mut().poll(cx);
            let taken = self.clock.thread_ns().saturating_sub(start);
            self.note_time(kind, taken);
            done
        })
        .await
    }

    fn note_time(&self, kind: SliceKind, ns: u64) {
        self.total_ns.fetch_add(ns, Ordering::Relaxed);
        if ns > SLICE_NS {
            self.long.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(longest) = self.longest_ns_of.get(kind as usize) {
            longest.fetch_max(ns, Ordering::Relaxed);
        }
    }

    fn note(&self, visits: usize) {
        let visits = visits as u64;
        self.slices.fetch_add(1, Ordering::Relaxed);
        self.visited.fetch_add(visits, Ordering::Relaxed);
        self.most_visits.fetch_max(visits, Ordering::Relaxed);
    }
}

/// Cuts one piece of work into slices.
pub struct Pace {
    slices: Arc<Slices>,
    caller: Principal,
    /// Visits in a slice.
    visits: usize,
    /// How many of these slices are one slice of the instance owner.
    part: usize,
    /// Visits left in the current slice.
    left: usize,
    /// Visits made in the current slice.
    made: usize,
    /// Slices before the current one.
    ended: usize,
}

impl Pace {
    /// Visits left in the current slice; at least one.
    pub fn left(&self) -> usize {
        self.left.max(1)
    }

    /// Slices that have ended, counted in slices of the instance owner.
    pub fn ended(&self) -> usize {
        self.ended / self.part
    }

    /// Records visits. Yields if they end the slice.
    pub async fn spend(&mut self, visits: usize) {
        self.note(visits);
        if self.left == 0 {
            self.give_way().await;
        }
    }

    /// Records visits where yielding is not possible. Returns whether the slice has ended.
    pub fn note(&mut self, visits: usize) -> bool {
        self.made = self.made.saturating_add(visits);
        self.left = self.left.saturating_sub(visits);
        self.left == 0
    }

    /// Ends the slice and yields.
    pub async fn give_way(&mut self) {
        self.close();
        self.ended += 1;
        self.slices.give_way(self.caller).await;
        self.left = self.visits;
    }

    /// Records work on another thread that was worth `slices` slices.
    pub(crate) fn beside(&mut self, slices: usize) {
        self.ended += slices * self.part;
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

    const OWNER: u32 = 1;
    const CALLER: Principal = Principal::Uid(OWNER);

    #[tokio::test]
    async fn work_is_cut_and_counted() {
        let slices = Arc::new(Slices::new(Arc::new(SimClock::new(0)), 80, OWNER));
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
        assert_eq!((counts.most_visits, counts.longest_ns()), (1_000, 0));
    }

    #[tokio::test]
    async fn a_guest_makes_shorter_slices_than_the_instance_owner() {
        let slices = Arc::new(Slices::new(Arc::new(SimClock::new(0)), 80, OWNER));
        for (uid, visits) in [(OWNER, 80), (0, 80), (7, 80 / GUEST_SLICE_PART)] {
            let mut pace = slices.pace(Principal::Uid(uid));
            assert_eq!(pace.left(), visits / FIRST_SLICE_PART, "{uid}");
            for _ in 0..2 * (80 / visits) {
                pace.spend(visits).await;
                assert_eq!(pace.left(), visits, "{uid}");
            }
            // What is bounded by slices goes as far for both.
            assert_eq!(pace.ended(), 2, "{uid}");
            pace.beside(3);
            assert_eq!(pace.ended(), 5, "{uid}");
        }
        // However short slices are, each makes some progress.
        let shortest = Arc::new(Slices::new(Arc::new(SimClock::new(0)), 1, OWNER));
        assert_eq!(shortest.pace(Principal::Uid(7)).left(), 1);
    }

    #[test]
    fn each_kind_has_its_longest_slice_and_long_ones_are_counted() {
        let slices = Slices::new(Arc::new(SimClock::new(0)), 80, OWNER);
        for (number, kind) in (1..).zip(SliceKind::ALL) {
            slices.note_time(kind, number);
            slices.note_time(kind, 1);
        }
        slices.note_time(SliceKind::Log, SLICE_NS);
        assert_eq!(slices.counts().long, 0);
        slices.note_time(SliceKind::Log, SLICE_NS + 1);
        let counts = slices.counts();
        assert_eq!(counts.longest_ns_of, [1, 2, 3, 4, SLICE_NS + 1, 6]);
        assert_eq!((counts.longest_ns(), counts.long), (SLICE_NS + 1, 1));
        assert_eq!(counts.total_ns, 27 + 2 * SLICE_NS + 1);
    }

    #[tokio::test]
    async fn work_that_is_dropped_half_way_is_counted_and_does_not_go_on() {
        let slices = Arc::new(Slices::new(Arc::new(SimClock::new(0)), 10, OWNER));
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
