//! Deadlines of pins' leases. The state holds the terms; only the owner knows the deadlines, in
//! *lease time*, which stands still while no owner runs.
//!
//! Lease time follows the uptime in ticks. A tick comes after all commands that were waiting when
//! it was due, and adds at most [`LEASE_TICK_MOST_MS`] however long ago the last one was: a process
//! that was suspended for an hour keeps its leases. Every lease starts again with a new owner.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::{LEASE_RETRY_MS, LEASE_TICK_MOST_MS, LEASE_TICK_MS};

/// Deadlines of pins, in lease time.
#[derive(Default)]
pub(crate) struct Leases {
    due: BTreeSet<(u64, u64)>,
    of: HashMap<u64, u64>,
    /// Lease time, shared with readers.
    now: Arc<AtomicU64>,
    /// The uptime of the last tick.
    ticked: u64,
    /// The due tick comes once this many commands were taken.
    tick_after: Option<u64>,
}

impl Leases {
    /// No deadlines. Publishes lease time in `now`.
    pub(crate) fn new(now: Arc<AtomicU64>) -> Self {
        Self {
            now,
            ..Self::default()
        }
    }

    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Starts the lease of a pin and returns its deadline; without a term it never expires.
    pub(crate) fn begin(&mut self, pin: u64, term_ms: Option<u64>, uptime: u64) -> Option<u64> {
        if self.due.is_empty() {
            (self.ticked, self.tick_after) = (uptime, None);
        }
        // Part of what the next tick adds has passed already.
        let passed = uptime.saturating_sub(self.ticked).min(LEASE_TICK_MOST_MS);
        let begins = self.now() + passed;
        self.end(pin);
        let deadline = begins.saturating_add(term_ms?);
        self.set(pin, deadline);
        Some(deadline)
    }

    fn set(&mut self, pin: u64, deadline: u64) {
        self.of.insert(pin, deadline);
        self.due.insert((deadline, pin));
    }

    /// Removes the lease of a released pin.
    pub(crate) fn end(&mut self, pin: u64) {
        if let Some(deadline) = self.of.remove(&pin) {
            self.due.remove(&(deadline, pin));
        }
    }

    /// Whether no lease has a deadline.
    pub(crate) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// The uptime at which the next tick is due, if there are leases.
    pub(crate) fn next_tick(&self) -> Option<u64> {
        (!self.due.is_empty()).then_some(self.ticked + LEASE_TICK_MS)
    }

    /// Advances lease time if a tick is due and all commands that were waiting then have been
    /// taken. `taken` is the number of commands ever taken, `waiting` the number that wait now.
    /// Returns whether it advanced.
    pub(crate) fn tick(&mut self, uptime: u64, taken: u64, waiting: usize) -> bool {
        if self.due.is_empty() || uptime < self.ticked.saturating_add(LEASE_TICK_MS) {
            return false;
        }
        let waiting = u64::try_from(waiting).unwrap_or(u64::MAX);
        let after = *self.tick_after.get_or_insert(taken.saturating_add(waiting));
        if taken < after && waiting > 0 {
            return false;
        }
        self.tick_after = None;
        let passed = uptime.saturating_sub(self.ticked).min(LEASE_TICK_MOST_MS);
        self.ticked = uptime;
        self.now.fetch_add(passed, Ordering::Relaxed);
        true
    }

    /// A pin whose lease has expired. It is returned again later unless it is released by then,
    /// because a full disk may refuse the release.
    pub(crate) fn take_due(&mut self) -> Option<u64> {
        let (deadline, pin) = *self.due.first()?;
        let now = self.now();
        if deadline > now {
            return None;
        }
        self.end(pin);
        self.set(pin, now + LEASE_RETRY_MS);
        Some(pin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passes `ms` of uptime from `at` on, in ticks, while nothing waits.
    fn pass(leases: &mut Leases, at: &mut u64, ms: u64) {
        for _ in 0..ms / LEASE_TICK_MS {
            *at += LEASE_TICK_MS;
            assert!(leases.tick(*at, 0, 0));
        }
    }

    #[test]
    fn a_lease_that_ran_out_comes_again_until_the_pin_is_released() {
        let (mut leases, mut at) = (Leases::default(), 7);
        leases.begin(1, Some(500), at);
        leases.begin(2, Some(400), at);
        leases.begin(3, None, at);
        leases.begin(2, Some(600), at);
        pass(&mut leases, &mut at, 450);
        assert_eq!(leases.take_due(), None);
        pass(&mut leases, &mut at, 200);
        assert_eq!(leases.take_due(), Some(1));
        assert_eq!(leases.take_due(), Some(2));
        assert_eq!(leases.take_due(), None);
        leases.end(1);
        pass(&mut leases, &mut at, LEASE_RETRY_MS);
        assert_eq!(leases.take_due(), Some(2));
        leases.end(2);
        assert_eq!((leases.next_tick(), leases.of.len()), (None, 0));
    }

    #[test]
    fn a_tick_comes_after_what_waited_and_not_after_what_came_later() {
        let mut leases = Leases::default();
        leases.begin(1, Some(100), 0);
        assert!(!leases.tick(LEASE_TICK_MS - 1, 0, 0), "it is not due");
        assert!(!leases.tick(LEASE_TICK_MS, 10, 3));
        assert!(!leases.tick(60, 12, 500), "one that waited is left");
        assert!(leases.tick(70, 13, 500));
        assert_eq!(leases.now(), 70);
        assert!(!leases.tick(70 + LEASE_TICK_MS, 13, 1_000_000));
        assert!(leases.tick(200, 14, 0), "it was refused, or is gone");
    }

    #[test]
    fn a_long_stop_ends_no_lease() {
        let mut leases = Leases::default();
        let deadline = leases.begin(1, Some(1_000), 0);
        assert!(leases.tick(3_600_000, 0, 0));
        assert_eq!(
            (leases.now(), leases.take_due()),
            (LEASE_TICK_MOST_MS, None)
        );
        // Time without leases does not count for the next lease.
        leases.end(1);
        assert!(!leases.tick(7_200_000, 0, 0));
        let after = leases.begin(2, Some(1_000), 8_000_000);
        assert_eq!(after, deadline.map(|at| at + LEASE_TICK_MOST_MS));
    }

    #[test]
    fn a_lease_that_begins_between_two_ticks_is_not_shorter() {
        let mut leases = Leases::default();
        leases.begin(1, Some(10_000), 0);
        assert_eq!(leases.begin(2, Some(100), 40), Some(140));
        // A suspension just before it does not make it longer.
        let most = LEASE_TICK_MOST_MS;
        assert_eq!(leases.begin(3, Some(100), 9_000), Some(most + 100));
    }
}
