//! Clock abstraction, so that a simulation can control time.
//!
//! There are two clocks. The wall clock stamps records; it may jump and is not used for ordering.
//! The uptime measures intervals, ages and deadlines, and never jumps.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Source of time for the engine.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970-01-01 UTC. May jump in both directions; a caller that needs
    /// monotonic time takes the maximum of this and the last value that it used.
    fn now_ms(&self) -> u64;

    /// Milliseconds since an arbitrary moment. Monotonic and unaffected by changes of the wall
    /// clock: every interval is the difference of two of these.
    fn uptime_ms(&self) -> u64;

    /// CPU time used by the calling thread, in nanoseconds. Only for counters.
    fn thread_ns(&self) -> u64;
}

/// The clocks of the operating system. The uptime starts when this value is created.
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

/// A clock that advances only on request.
#[derive(Debug, Default)]
pub struct SimClock {
    now: AtomicU64,
    uptime: AtomicU64,
}

impl SimClock {
    /// Creates a clock whose wall time is `now_ms`.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        Self {
            now: AtomicU64::new(now_ms),
            uptime: AtomicU64::new(0),
        }
    }

    /// Advances both clocks by `ms` milliseconds.
    pub fn advance(&self, ms: u64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
        self.uptime.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sets the wall clock, also backwards, without advancing the uptime.
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

    /// Always zero: simulated work takes no CPU time.
    fn thread_ns(&self) -> u64 {
        0
    }
}
