//! Time as the commit task uses it: stamps of records from the wall clock, which never fall, and
//! everything else in uptime, so that nothing waits longer or shorter because the clock was set.
//!
//! Ages of what earlier daemons wrote are known by stamps only: they are counted back from the newest
//! stamp at the opening, and the time between two daemons counts for nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::Clock;
use crate::limits::CLOCK_JUMP_MS;
use crate::past::CheckpointRoot;

/// What the wall clock may drift by while this many milliseconds pass and be no more than slewed.
const SLEW: u64 = 1_000;

/// The two clocks, and what was seen of them.
pub(crate) struct Time {
    clock: Arc<dyn Clock>,
    stamp_ms: u64,
    drift: Drift,
}

impl Time {
    /// Time goes on from the newest stamp of the store.
    pub(crate) fn new(clock: Arc<dyn Clock>, newest_ms: u64) -> Self {
        let (wall, uptime) = (clock.now_ms(), clock.uptime_ms());
        Self {
            stamp_ms: newest_ms.max(wall),
            drift: Drift::new(wall, uptime),
            clock,
        }
    }

    /// Milliseconds since the epoch for a record; never less than before.
    pub(crate) fn stamp(&mut self) -> u64 {
        self.stamp_ms = self.stamp_ms.max(self.clock.now_ms());
        self.stamp_ms
    }

    /// Milliseconds that intervals and deadlines are counted in.
    pub(crate) fn uptime(&self) -> u64 {
        self.clock.uptime_ms()
    }

    /// Says so if the wall clock was set since the last look.
    pub(crate) fn watch_for_jumps(&mut self) {
        let (wall, uptime) = (self.clock.now_ms(), self.clock.uptime_ms());
        let Some(jump_ms) = self.drift.jump(wall, uptime) else {
            return;
        };
        let by = format!("{:.3} s", jump_ms.unsigned_abs() as f64 / 1e3);
        let direction = if jump_ms < 0 { "back" } else { "forward" };
        tracing::warn!(
            "the wall clock has moved {direction} by {by}: it was set, or the machine was suspended; \
             intervals and leases count uptime, time stamps of versions never fall"
        );
    }
}

/// How far the wall clock and the uptime are apart.
struct Drift {
    apart_ms: i128,
    seen: u64,
}

impl Drift {
    fn new(wall: u64, uptime: u64) -> Self {
        Self {
            apart_ms: i128::from(wall) - i128::from(uptime),
            seen: uptime,
        }
    }

    /// By how much the wall clock has jumped since the last look, if by more than clocks are slewed.
    fn jump(&mut self, wall: u64, uptime: u64) -> Option<i64> {
        let apart = i128::from(wall) - i128::from(uptime);
        let jump = apart - self.apart_ms;
        let slewed = CLOCK_JUMP_MS + uptime.saturating_sub(self.seen) / SLEW;
        (self.apart_ms, self.seen) = (apart, uptime);
        (jump.unsigned_abs() >= u128::from(slewed))
            .then(|| i64::try_from(jump).unwrap_or(if jump < 0 { i64::MIN } else { i64::MAX }))
    }
}

/// How long ago checkpoints were made.
pub(crate) struct Ages {
    /// Uptime, newest stamp and newest group at the opening.
    opened: (u64, u64, u64),
    /// By group: the uptime when a checkpoint of this life was made.
    made: BTreeMap<u64, u64>,
}

impl Ages {
    /// Nothing is known but the stamps of what there is.
    pub(crate) fn new(uptime: u64, newest_ms: u64, newest_group: u64) -> Self {
        Self {
            opened: (uptime, newest_ms, newest_group),
            made: BTreeMap::new(),
        }
    }

    /// A checkpoint of that group is made now.
    pub(crate) fn made(&mut self, group: u64, uptime: u64) {
        self.made.entry(group).or_insert(uptime);
    }

    /// Checkpoints before that group are gone.
    pub(crate) fn forget_before(&mut self, group: u64) {
        self.made = self.made.split_off(&group);
    }

    /// Milliseconds since a root was checkpointed, or since its version was made by an earlier
    /// daemon. Never too many, as far as can be known.
    pub(crate) fn of(&self, root: &CheckpointRoot, uptime: u64) -> u64 {
        let (opened, newest_ms, newest_group) = self.opened;
        if root.group <= newest_group {
            let before = newest_ms.saturating_sub(root.time_ms);
            return uptime.saturating_sub(opened).saturating_add(before);
        }
        let made = self.made.range(root.group..).next();
        made.map_or(0, |(_, made)| uptime.saturating_sub(*made))
    }
}

#[cfg(test)]
mod tests {
    use kvs_tree::{Blobref, Directory, HashAlgorithm};

    use super::*;
    use crate::clock::SimClock;

    #[test]
    fn stamps_never_fall_and_the_uptime_is_not_set() {
        let clock = Arc::new(SimClock::new(5_000));
        let mut time = Time::new(clock.clone(), 4_000);
        assert_eq!((time.stamp(), time.uptime()), (5_000, 0));
        clock.advance(10);
        assert_eq!((time.stamp(), time.uptime()), (5_010, 10));
        clock.set(1_000);
        assert_eq!((time.stamp(), time.uptime()), (5_010, 10));
        clock.set(9_000);
        assert_eq!((time.stamp(), time.uptime()), (9_000, 10));
        assert_eq!(Time::new(clock, 10_000).stamp(), 10_000);
    }

    #[test]
    fn a_jump_is_seen_once_and_a_slewed_clock_is_none() {
        let mut drift = Drift::new(1_000_000, 0);
        assert_eq!(drift.jump(1_000_500, 500), None);
        assert_eq!(drift.jump(4_600_600, 600), Some(3_600_000));
        assert_eq!(drift.jump(4_600_700, 700), None);
        assert_eq!(drift.jump(1_000_700, 700), Some(-3_600_000));
        assert_eq!(drift.jump(1_001_600, 701), None, "899 ms are no jump");
        assert_eq!(drift.jump(0, u64::MAX), Some(i64::MIN));
        let day = 86_400_000;
        let mut drift = Drift::new(1_000_000, 0);
        assert_eq!(drift.jump(1_000_000 + day + 43_200, day), None, "500 ppm");
        assert_eq!(drift.jump(0, day), Some(-1_000_000 - 86_443_200));
    }

    fn root(group: u64, time_ms: u64) -> CheckpointRoot {
        CheckpointRoot {
            version: group,
            group,
            time_ms,
            root: Blobref::of(HashAlgorithm::Blake3, b""),
            stats: Directory::empty().stats(),
            empty: false,
        }
    }

    #[test]
    fn ages_count_uptime_and_stamps_only_of_what_was_there() {
        let mut ages = Ages::new(100, 9_000, 10);
        assert_eq!(ages.of(&root(10, 8_000), 100), 1_000);
        assert_eq!(ages.of(&root(10, 8_000), 150), 1_050);
        // Stamped by a clock that was ahead.
        assert_eq!(ages.of(&root(9, 9_999_999), 150), 50);
        // Made in this life, whatever its stamp says.
        ages.made(12, 200);
        ages.made(12, 300);
        ages.made(20, 500);
        assert_eq!(ages.of(&root(12, 0), 1_200), 1_000);
        assert_eq!(ages.of(&root(13, 0), 1_200), 700);
        assert_eq!(ages.of(&root(21, 0), 1_200), 0);
        ages.forget_before(13);
        assert_eq!(ages.of(&root(12, 0), 1_200), 700);
    }
}
