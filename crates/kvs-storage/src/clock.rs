//! Time through a seam, so that a simulation decides what time it is.
//!
//! There are two clocks, as there are in every system: the wall clock stamps records, may jump and
//! orders nothing; the uptime measures intervals, ages and deadlines, and never jumps.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Where the engine gets the time from.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970-01-01 UTC. May jump in both directions, as wall clocks do: whoever
    /// needs a time that never runs backwards takes the maximum with the last one it used.
    fn now_ms(&self) -> u64;

    /// Milliseconds since some moment in the past. Never falls, and is not affected when the wall
    /// clock is set: every interval is a difference of two of these.
    fn uptime_ms(&self) -> u64;

    /// Nanoseconds of a processor that the calling thread has used. Only for counters.
    fn thread_ns(&self) -> u64;
}

/// The clocks of the operating system. The uptime counts from when this was made.
#[derive(Debug, Clone, Copy)]
pub struct RealClock {
    started: Instant,
}

impl Default for RealClock {
    #[expect(clippy::disallowed_methods, reason = "the seam itself")]
    fn default() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "the seam itself")]
    fn now_ms(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| {
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            })
    }

    fn uptime_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn thread_ns(&self) -> u64 {
        let used = clock_gettime(ClockId::ThreadCPUTime);
        let seconds = u64::try_from(used.tv_sec).unwrap_or(0);
        let rest = u64::try_from(used.tv_nsec).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(rest)
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub struct SimClock {
    now: AtomicU64,
    uptime: AtomicU64,
}

impl SimClock {
    /// A clock that shows `now_ms`.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        Self {
            now: AtomicU64::new(now_ms),
            uptime: AtomicU64::new(0),
        }
    }

    /// Lets `ms` milliseconds pass.
    pub fn advance(&self, ms: u64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
        self.uptime.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sets the wall clock, also backwards, while no time passes.
    pub fn set(&self, now_ms: u64) {
        self.now.store(now_ms, Ordering::SeqCst);
    }
}

impl Clock for SimClock {
    fn now_ms(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    fn uptime_ms(&self) -> u64 {
        self.uptime.load(Ordering::SeqCst)
    }

    /// Simulated work takes no time.
    fn thread_ns(&self) -> u64 {
        0
    }
}
