//! Costs of checkpoints, for `status` and for measurements.

use std::sync::atomic::{AtomicU64, Ordering};

/// Costs of checkpoints since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointCounts {
    /// Checkpoints written.
    pub checkpoints: u64,
    /// Bytes of the packs and root record of the last one.
    pub last_bytes: u64,
    /// Thread time, in nanoseconds, for which the last one blocked commits: to plan it and to
    /// record its completion.
    pub last_held_ns: u64,
    /// The maximum of that time.
    pub most_held_ns: u64,
}

#[derive(Default)]
pub(crate) struct CheckpointCounters {
    checkpoints: AtomicU64,
    last_bytes: AtomicU64,
    last_held_ns: AtomicU64,
    most_held_ns: AtomicU64,
}

impl CheckpointCounters {
    pub(crate) fn note(&self, bytes: u64, held_ns: u64) {
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
        self.last_bytes.store(bytes, Ordering::Relaxed);
        self.last_held_ns.store(held_ns, Ordering::Relaxed);
        self.most_held_ns.fetch_max(held_ns, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> CheckpointCounts {
        CheckpointCounts {
            checkpoints: self.checkpoints.load(Ordering::Relaxed),
            last_bytes: self.last_bytes.load(Ordering::Relaxed),
            last_held_ns: self.last_held_ns.load(Ordering::Relaxed),
            most_held_ns: self.most_held_ns.load(Ordering::Relaxed),
        }
    }
}
