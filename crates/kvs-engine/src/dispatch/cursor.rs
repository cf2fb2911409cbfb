//! The progress of a lane's matcher: in the journal, and within a version.

use std::sync::Arc;

use kvs_tree::{Effect, Key, PatternSearch};

use super::groups::{Drain, Holder};
use super::slots::WatchNumber;
use crate::state::VersionRecord;

/// Watches found before they are woken.
pub(super) const FOUND: usize = 64;

/// The next stage of matching an effect.
pub(super) enum Stage {
    /// Watches of its key and of the directories above it.
    At,
    /// Watches of keys below it, after this key.
    Below(Key),
    /// Watches of patterns.
    Patterns,
}

/// A version that is being matched.
pub(super) struct Progress {
    pub(super) record: Arc<VersionRecord>,
    transaction: usize,
    effect: usize,
    pub(super) stage: Stage,
    /// Watches found and to be woken next.
    pub(super) found: Vec<Holder>,
    pub(super) drain: Option<Drain>,
}

impl Progress {
    pub(super) fn new(record: Arc<VersionRecord>) -> Self {
        Self {
            record,
            transaction: 0,
            effect: 0,
            stage: Stage::At,
            found: Vec::new(),
            drain: None,
        }
    }

    /// The effect that is being matched; `None` after the last one.
    pub(super) fn effect<'a>(&mut self, record: &'a VersionRecord) -> Option<&'a Effect> {
        loop {
            let transaction = record.transactions.get(self.transaction)?;
            match transaction.effects.get(self.effect) {
                Some(effect) => return Some(effect),
                None => (self.transaction, self.effect) = (self.transaction + 1, 0),
            }
        }
    }

    /// Advances to the next effect.
    pub(super) fn next_effect(&mut self) {
        self.effect += 1;
        self.stage = Stage::At;
    }
}

/// A range of versions that is not matched: it counts as concerning every watch.
#[derive(Clone, Copy)]
pub(super) struct Flood {
    pub(super) at: WatchNumber,
    pub(super) from: u64,
    pub(super) upto: u64,
}

/// The progress of the matcher.
#[derive(Default)]
pub(super) struct Cursor {
    /// The version that is being matched, or the last one matched.
    pub(super) begun: u64,
    /// All versions up to this one were matched.
    pub(super) matched: u64,
    pub(super) progress: Option<Progress>,
    pub(super) flood: Option<Flood>,
    /// The next watch to wake, while all watches are being woken.
    pub(super) everybody: Option<WatchNumber>,
    /// Whether to stop matching and treat the waiting versions as concerning every watch.
    pub(super) give_up: bool,
    pub(super) search: PatternSearch,
}
