//! Whom to wake, and what a slice of work may cost.

use std::sync::Arc;

use kvs_tree::Effect;

use crate::limits::WAKE_VISITS;

/// Whom to wake when a watch may have something to read. One sink serves many watches: each has a
/// token of its own.
pub trait WakeSink: Send + Sync {
    /// The watch with this token may have something to read. Must be cheap and must not block; it
    /// is called from any thread, with no lock held.
    fn wake(&self, token: u64);
}

/// A wake that is to be called once every lock is gone.
#[derive(Clone)]
pub(crate) struct Wake {
    pub(crate) sink: Arc<dyn WakeSink>,
    pub(crate) token: u64,
}

impl Wake {
    pub(crate) fn call(&self) {
        self.sink.wake(self.token);
    }
}

/// A slice of work: how much of it may still be done before others have their turn, and the wakes
/// that came of it.
pub(crate) struct Slice {
    /// Nodes and watches of an index that may still be looked at.
    pub(crate) visits: usize,
    most: usize,
    wakes: Vec<Wake>,
}

impl Slice {
    pub(crate) fn new(visits: usize) -> Self {
        Self {
            visits,
            most: visits,
            wakes: Vec::new(),
        }
    }

    /// Whether the rest has to wait for the next slice.
    pub(crate) fn is_over(&self) -> bool {
        self.visits == 0
    }

    pub(crate) fn visit(&mut self) {
        self.visits = self.visits.saturating_sub(1);
    }

    /// Keeps a wake for when the lock is gone.
    pub(crate) fn wake(&mut self, wake: Wake) {
        self.visits = self.visits.saturating_sub(WAKE_VISITS);
        self.wakes.push(wake);
    }

    /// Calls the wakes so far; how many there were. The caller holds no lock.
    pub(crate) fn call(&mut self) -> usize {
        self.wakes.drain(..).map(|wake| wake.call()).count()
    }

    /// What has been visited so far.
    pub(crate) fn used(&self) -> usize {
        self.most - self.visits
    }
}

/// Whether an effect can change what is found at keys below its own: it says so, or it may put a
/// link there that leads them elsewhere.
pub(crate) fn reaches_below(effect: &Effect) -> bool {
    effect.subtree() || matches!(effect, Effect::Link { .. } | Effect::Copy { .. })
}
