//! How the commit task keeps pace: how much it takes at once, and when it must look although nobody
//! asks.

use std::time::Duration;

use super::inbox::Queue;
use super::task::CommitTask;
use crate::config::Durability;
use crate::limits::{INBOX_BATCH, INBOX_BATCH_MIN, SYNC_INTERVAL_MS};

/// Longest time that the timer is set for, in milliseconds; then it is set again.
const TIMER_MS: u64 = 3_600_000;

impl CommitTask {
    /// Takes a batch of what waits. Guests get their part of the group and no more.
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

    /// How many of the commands that wait are taken before the journal is looked at. While it has
    /// nothing to do, half of them: the other half is applied beside the writing of the first, and
    /// clients that wait for the one go on beside those that wait for the other.
    fn batch(&self, waiting: usize) -> usize {
        match self.in_flight {
            None if self.durable() => (waiting / 2).clamp(INBOX_BATCH_MIN, INBOX_BATCH),
            _ => INBOX_BATCH,
        }
    }

    /// When something is due although nobody asks, in uptime.
    pub(super) fn next_timer(&self) -> Option<u64> {
        let interval = self.config.durability == Durability::Interval && self.unsynced;
        let sync = interval.then_some(self.synced_at + SYNC_INTERVAL_MS);
        // One that is past has been tried: it stays as it is until the next failure.
        let retry = self.checkpoint_retry;
        let retry = retry.filter(|retry| *retry > self.time.uptime());
        [self.leases.next_tick(), sync, retry]
            .into_iter()
            .flatten()
            .min()
    }

    /// How long until then, at least a millisecond.
    pub(super) fn until(&self, at: u64) -> Duration {
        let now = self.time.uptime();
        Duration::from_millis(at.saturating_sub(now).clamp(1, TIMER_MS))
    }
}
