//! Who is to be woken for what was published: found out behind the answers, in slices.
//!
//! There is one way: what a group published is put in line, a first slice is done as soon as its
//! committers have their answers, and the rest in further slices, between which everybody else has
//! a turn. Those in line have turns too: a lane that takes long holds up no other.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::config::EngineConfig;
use crate::dispatch::Slice;
use crate::limits::{MATCH_SLICE_MOST, MATCH_TURN, MATCH_VISITS_PER_EFFECT};
use crate::namespace::{Advanced, Namespace, Part};
use crate::store::Store;

enum Work {
    /// Watches of a namespace, and those who wait for its versions.
    Namespace(Arc<Namespace>, Part),
    /// Followers of roots, and those who wait for a namespace.
    Notifier,
}

/// What is in line to be woken.
pub(super) struct Matching {
    line: VecDeque<Work>,
    /// Visits that the commits since the last slice are worth.
    owed: usize,
    /// Visits of a slice, at least and at most.
    slice: (usize, usize),
    /// Versions that a lane may be behind.
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

    /// Notes that so many effects were published.
    pub(super) fn owe(&mut self, effects: usize) {
        let visits = effects.saturating_mul(MATCH_VISITS_PER_EFFECT);
        self.owed = self.owed.saturating_add(visits);
    }

    /// Puts in line whoever a namespace has to wake.
    pub(super) fn stirred(&mut self, namespace: &Arc<Namespace>) {
        let line = &mut self.line;
        namespace.due(|part| line.push_back(Work::Namespace(namespace.clone(), part)));
    }

    /// From here on nothing is matched: every watch looks for itself. Whether nobody is in line.
    pub(super) fn finish(&mut self) -> bool {
        self.lag = 0;
        self.is_idle()
    }

    /// Wakes who has to be, for one slice; `first`: right behind the answers, a short one.
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
