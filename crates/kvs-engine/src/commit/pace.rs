//! The pace of the commit task: its batch sizes and its timer.

use std::time::Duration;

use super::inbox::Queue;
use super::task::CommitTask;
use crate::config::Durability;
use crate::limits::{INBOX_BATCH, INBOX_BATCH_MIN, SYNC_INTERVAL_MS};

/// Maximum time that the timer is set for, in milliseconds; then it is set again.
const TIMER_MS: u64 = 3_600_000;

impl CommitTask {
    /// Takes a batch of waiting commands. Guests get at most their share of the group.
    pub(super) fn take_some(&mut self, queue: &mut Queue) {
        for _ in 0..self.batch(queue.len()) {
            let guests = self.building.admits_guests();
            let Some((tenant, command)) = queue.take(guests) else {
                return;
            };
            if tenant.is_guest() {
                self.building.count_guests(command.cost());
            }
            self.taken += 1;
            self.handle(command);
        }
    }

    /// How many of the waiting commands are taken before the journal is given work again. While it
    /// is idle, half of them: the other half is applied while the first is written, and the clients
    /// of each half overlap with the other.
    fn batch(&self, waiting: usize) -> usize {
        match self.in_flight {
            None if self.durable() => (waiting / 2).clamp(INBOX_BATCH_MIN, INBOX_BATCH),
            _ => INBOX_BATCH,
        }
    }

    /// The uptime at which the next timed work is due, if any.
    pub(super) fn next_timer(&self) -> Option<u64> {
        let interval = self.config.durability == Durability::Interval && self.unsynced;
        let sync = interval.then_some(self.synced_at + SYNC_INTERVAL_MS);
        // A retry time in the past has been tried; it stays until the next failure.
        let retry = self.checkpoint_retry;
        let retry = retry.filter(|retry| *retry > self.time.uptime());
        [self.leases.next_tick(), sync, retry]
            .into_iter()
            .flatten()
            .min()
    }

    /// The time until `at`, at least a millisecond.
    pub(super) fn until(&self, at: u64) -> Duration {
        let now = self.time.uptime();
        Duration::from_millis(at.saturating_sub(now).clamp(1, TIMER_MS))
    }
}
