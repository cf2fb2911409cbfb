//! Counters of matching costs: for `status`, and for tests of its bounds.

use std::sync::atomic::{AtomicU64, Ordering};

/// The cost of matching versions with watches since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatchCounts {
    /// Slices with at least one visit.
    pub slices: u64,
    /// Index nodes and watches visited.
    pub visits: u64,
    /// Maximum visits in one slice.
    pub visits_most: u64,
    /// Watches, followers and waiters woken.
    pub wakes: u64,
    /// Maximum number of versions waiting to be matched.
    pub lag_most: u64,
}

/// The counters behind [`MatchCounts`].
#[derive(Default)]
pub(crate) struct Matched {
    slices: AtomicU64,
    visits: AtomicU64,
    visits_most: AtomicU64,
    wakes: AtomicU64,
    lag_most: AtomicU64,
}

impl Matched {
    pub(crate) fn note_slice(&self, visits: usize, wakes: usize) {
        let visits = visits as u64;
        if visits > 0 {
            self.slices.fetch_add(1, Ordering::Relaxed);
            self.visits.fetch_add(visits, Ordering::Relaxed);
            self.visits_most.fetch_max(visits, Ordering::Relaxed);
            self.wakes.fetch_add(wakes as u64, Ordering::Relaxed);
        }
    }

    pub(crate) fn note_lag(&self, versions: u64) {
        self.lag_most.fetch_max(versions, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> MatchCounts {
        MatchCounts {
            slices: self.slices.load(Ordering::Relaxed),
            visits: self.visits.load(Ordering::Relaxed),
            visits_most: self.visits_most.load(Ordering::Relaxed),
            wakes: self.wakes.load(Ordering::Relaxed),
            lag_most: self.lag_most.load(Ordering::Relaxed),
        }
    }
}
