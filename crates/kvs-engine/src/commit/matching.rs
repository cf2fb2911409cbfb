//! Finds the watches and followers to wake for published versions, in slices, after the committers
//! have been answered.
//!
//! A published group is queued. Its first slice runs as soon as its committers are answered;
//! further slices alternate with other work. Queued namespaces and lanes take turns, so that a slow
//! lane does not hold up the others.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::config::EngineConfig;
use crate::dispatch::Slice;
use crate::limits::{MATCH_SLICE_MOST, MATCH_TURN, MATCH_VISITS_PER_EFFECT};
use crate::namespace::{Advanced, Namespace, Part};
use crate::store::Store;

enum Work {
    /// Watches of a namespace, and clients that wait for its versions.
    Namespace(Arc<Namespace>, Part),
    /// Followers of roots, and clients that wait for a namespace.
    Notifier,
}

/// The queue of namespaces and notifications to match.
pub(super) struct Matching {
    line: VecDeque<Work>,
    /// Visits owed for commits since the last slice.
    owed: usize,
    /// Minimum and maximum visits of a slice.
    slice: (usize, usize),
    /// Versions that a lane may lag behind.
    lag: u64,
}

impl Matching {
    pub(super) fn new(config: &EngineConfig) -> Self {
        let least = config.match_slice;
        Self {
            line: VecDeque::new(),
            owed: 0,
            slice: (least, least.max(MATCH_SLICE_MOST)),
            lag: config.match_lag,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.line.is_empty()
    }

    /// Adds the visits that are owed for `effects` published effects.
    pub(super) fn owe(&mut self, effects: usize) {
        let visits = effects.saturating_mul(MATCH_VISITS_PER_EFFECT);
        self.owed = self.owed.saturating_add(visits);
    }

    /// Queues the lanes of a namespace that have something to wake.
    pub(super) fn stirred(&mut self, namespace: &Arc<Namespace>) {
        let line = &mut self.line;
        namespace.due(|part| line.push_back(Work::Namespace(namespace.clone(), part)));
    }

    /// Stops matching: from now on every watch checks for itself. Returns whether the queue is
    /// empty.
    pub(super) fn finish(&mut self) -> bool {
        self.lag = 0;
        self.is_idle()
    }

    /// Wakes watches and followers for one slice. `first`: a short one, right after the answers.
    pub(super) fn wake_some(&mut self, store: &Store, first: bool) {
        if store.feed.is_due() {
            self.line.push_back(Work::Notifier);
        }
        let (least, most) = self.slice;
        let visits = match first {
            true => least,
            false => std::mem::take(&mut self.owed).clamp(least, most),
        };
        let (mut left, mut wakes) = (visits, 0);
        while left > 0
            && let Some(work) = self.line.pop_front()
        {
            let mut slice = Slice::new(left.min(MATCH_TURN));
            let Advanced { done, behind } = match &work {
                Work::Namespace(namespace, part) => namespace.advance(*part, self.lag, &mut slice),
                Work::Notifier => Advanced {
                    done: store.feed.advance(&mut slice),
                    behind: 0,
                },
            };
            left -= slice.used();
            wakes += slice.call();
            store.matched.note_lag(behind);
            if !done {
                self.line.push_back(work);
            }
        }
        store.matched.note_slice(visits - left, wakes);
        if self.is_idle() {
            self.owed = 0;
        }
    }
}
