//! Wakes for watches, and the budget of a slice of work.

use std::sync::Arc;

use kvs_tree::Effect;

use crate::limits::WAKE_VISITS;

/// Receives the wakes of watches and followers. One sink serves many; each has its own token.
pub trait WakeSink: Send + Sync {
    /// Called when the watch with this token may have something to read. Must be cheap and must not
    /// block; it is called from any thread, with no lock held.
    fn wake(&self, token: u64);
}

/// A wake, to be called once all locks are released.
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

/// A slice of work: the visits left before others have their turn, and the wakes collected.
pub(crate) struct Slice {
    /// Visits left, of nodes and watches of an index.
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

    /// Whether the rest must wait for the next slice.
    pub(crate) fn is_over(&self) -> bool {
        self.visits == 0
    }

    pub(crate) fn visit(&mut self) {
        self.visits = self.visits.saturating_sub(1);
    }

    /// Collects a wake, to be called after the lock is released.
    pub(crate) fn wake(&mut self, wake: Wake) {
        self.visits = self.visits.saturating_sub(WAKE_VISITS);
        self.wakes.push(wake);
    }

    /// Calls the wakes collected so far and returns their number. The caller must hold no lock.
    pub(crate) fn call(&mut self) -> usize {
        self.wakes.drain(..).map(|wake| wake.call()).count()
    }

    /// Visits made so far.
    pub(crate) fn used(&self) -> usize {
        self.most - self.visits
    }
}

/// Whether an effect can change what is found at keys below its own: because it covers the subtree,
/// or because it may put a link there that redirects them.
pub(crate) fn reaches_below(effect: &Effect) -> bool {
    effect.subtree() || matches!(effect, Effect::Link { .. } | Effect::Copy { .. })
}
