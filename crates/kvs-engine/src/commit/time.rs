//! Time for the commit task: the wall clock as read, stamps that order versions and never fall, and
//! uptime for everything else, so that setting the clock changes no wait.
//!
//! The store's *age* is uptime summed over all starts. Each group records it, and the next start
//! continues from there: time between two daemons does not count.

use std::sync::Arc;

use crate::clock::Clock;
use crate::limits::CLOCK_JUMP_MS;

/// The wall clock may drift by one millisecond in this many without counting as set.
const SLEW: u64 = 1_000;

/// Bits of a stamp that count versions within a millisecond.
const STAMP_BITS: u32 = 16;

/// The wall clock, uptime, and what was last read of them.
pub(crate) struct Time {
    clock: Arc<dyn Clock>,
    /// The newest stamp.
    stamp: u64,
    /// The store's age when it was opened, and the uptime then.
    opened: (u64, u64),
    drift: Drift,
}

impl Time {
    /// Continues from the newest stamp and the age of the store.
    pub(crate) fn new(clock: Arc<dyn Clock>, stamp: u64, age_ms: u64) -> Self {
        let (wall, uptime) = (clock.now_ms(), clock.uptime_ms());
        Self {
            stamp,
            opened: (age_ms, uptime),
            drift: Drift::new(wall, uptime),
            clock,
        }
    }

    /// Milliseconds since 1970 by the wall clock. May run backwards.
    pub(crate) fn wall(&self) -> u64 {
        self.clock.now_ms()
    }

    /// A stamp for a version made at this wall clock time: greater than all before.
    pub(crate) fn stamp(&mut self, wall_ms: u64) -> u64 {
        let wall = wall_ms.saturating_mul(1 << STAMP_BITS);
        self.stamp = wall.max(self.stamp.saturating_add(1));
        self.stamp
    }

    /// The store's age, in milliseconds.
    pub(crate) fn age(&self) -> u64 {
        let (age_ms, uptime) = self.opened;
        age_ms.saturating_add(self.uptime().saturating_sub(uptime))
    }

    /// Uptime in milliseconds, for intervals and deadlines.
    pub(crate) fn uptime(&self) -> u64 {
        self.clock.uptime_ms()
    }

    /// Logs a warning if the wall clock was set since the last call.
    pub(crate) fn watch_for_jumps(&mut self) {
        let (wall, uptime) = (self.clock.now_ms(), self.clock.uptime_ms());
        let Some(jump_ms) = self.drift.jump(wall, uptime) else {
            return;
        };
        let by = format!("{:.3} s", jump_ms.unsigned_abs() as f64 / 1e3);
        let direction = if jump_ms < 0 { "back" } else { "forward" };
        tracing::warn!(
            "the wall clock has moved {direction} by {by}: it was set, or the machine was suspended; \
             intervals, leases and ages count uptime; versions have the time that the clock shows"
        );
    }
}

/// The difference between the wall clock and the uptime.
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

    /// How far the wall clock has jumped since the last call, if further than clocks are slewed.
    fn jump(&mut self, wall: u64, uptime: u64) -> Option<i64> {
        let apart = i128::from(wall) - i128::from(uptime);
        let jump = apart - self.apart_ms;
        let slewed = CLOCK_JUMP_MS + uptime.saturating_sub(self.seen) / SLEW;
        (self.apart_ms, self.seen) = (apart, uptime);
        (jump.unsigned_abs() >= u128::from(slewed))
            .then(|| i64::try_from(jump).unwrap_or(if jump < 0 { i64::MIN } else { i64::MAX }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimClock;

    #[test]
    fn stamps_rise_times_are_as_read_and_the_age_counts_uptime() {
        let clock = Arc::new(SimClock::new(5_000));
        let mut time = Time::new(clock.clone(), 4_000 << 16, 700);
        let look = |time: &mut Time| {
            let wall = time.wall();
            (wall, time.stamp(wall), time.age(), time.uptime())
        };
        assert_eq!(look(&mut time), (5_000, 5_000 << 16, 700, 0));
        assert_eq!(look(&mut time), (5_000, (5_000 << 16) + 1, 700, 0));
        clock.advance(10);
        assert_eq!(look(&mut time), (5_010, 5_010 << 16, 710, 10));
        clock.set(1_000);
        assert_eq!(look(&mut time), (1_000, (5_010 << 16) + 1, 710, 10));
        clock.set(9_000);
        assert_eq!(look(&mut time), (9_000, 9_000 << 16, 710, 10));
        // A later daemon continues from here.
        clock.set(0);
        let mut time = Time::new(clock.clone(), 9_000 << 16, 710);
        clock.advance(1);
        assert_eq!(look(&mut time), (1, (9_000 << 16) + 1, 711, 11));
        clock.set(u64::MAX);
        assert_eq!(look(&mut time).1, u64::MAX);
        assert_eq!(look(&mut time).1, u64::MAX, "it does not overflow");
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
}
