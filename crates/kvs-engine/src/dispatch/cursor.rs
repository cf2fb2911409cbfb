//! How far the matcher of a lane has come: in the journal, and within a version.

use std::sync::Arc;

use kvs_tree::{Effect, Key, PatternSearch};

use super::groups::{Drain, Holder};
use super::slots::WatchNumber;
use crate::state::VersionRecord;

/// How many are found before they are woken.
pub(super) const FOUND: usize = 64;

/// What is looked for next of an effect.
pub(super) enum Stage {
    /// Its key, and the directories above it.
    At,
    /// Watched keys below it, behind this one.
    Below(Key),
    /// Patterns.
    Patterns,
}

/// A version that is being matched.
pub(super) struct Progress {
    pub(super) record: Arc<VersionRecord>,
    transaction: usize,
    effect: usize,
    pub(super) stage: Stage,
    /// Who was found and is to be woken next.
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

    /// The effect of `record` that is being matched; none behind the last.
    pub(super) fn effect<'a>(&mut self, record: &'a VersionRecord) -> Option<&'a Effect> {
        loop {
            let transaction = record.transactions.get(self.transaction)?;
            match transaction.effects.get(self.effect) {
                Some(effect) => return Some(effect),
                None => (self.transaction, self.effect) = (self.transaction + 1, 0),
            }
        }
    }

    /// Goes on to the next effect.
    pub(super) fn next_effect(&mut self) {
        self.effect += 1;
        self.stage = Stage::At;
    }
}

/// Versions that nobody matches: they are taken to concern every watch.
#[derive(Clone, Copy)]
pub(super) struct Flood {
    pub(super) at: WatchNumber,
    pub(super) from: u64,
    pub(super) upto: u64,
}

/// The matcher's place.
#[derive(Default)]
pub(super) struct Cursor {
    /// The version that is being matched, or was last.
    pub(super) begun: u64,
    /// All versions up to this one were matched.
    pub(super) matched: u64,
    pub(super) progress: Option<Progress>,
    pub(super) flood: Option<Flood>,
    /// Everybody is being woken, from this watch on.
    pub(super) everybody: Option<WatchNumber>,
    /// What waits is to be passed over.
    pub(super) give_up: bool,
    pub(super) search: PatternSearch,
}
