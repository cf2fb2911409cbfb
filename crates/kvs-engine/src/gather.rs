//! Gathers the changes of a version in some scopes from its record, effect by effect, in steps of
//! bounded length: there may be many effects and many scopes, and one effect may have changed a
//! whole tree.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use bytes::Bytes;
use kvs_tree::{Bounds, Change, Effect, Effort, Fault, Key, NodeSource, Scope, diff};

use crate::changes::{
    Between, ChangeKind, ChangeValue, KeyChange, Want, change, direct, entered_as, in_scope,
    inline, merge, standing, tells_below,
};
use crate::limits::{CHANGE_VALUE_BYTES, DIFF_PAGE};
use crate::state::VersionRecord;

/// What to gather, from which record.
pub(crate) struct Gathering<'a> {
    pub(crate) record: &'a VersionRecord,
    /// Empty: everywhere.
    pub(crate) scopes: &'a [Scope],
    /// May be `None` unless [`needs_roots`] holds for an effect.
    pub(crate) between: Option<Between<'a>>,
    pub(crate) want: Want,
}

/// The changes gathered so far. A step that lacks an object keeps what it gathered and is repeated.
#[derive(Default)]
pub(crate) struct Gathered {
    found: BTreeMap<Key, KeyChange>,
    /// Keys with a value that the record does not contain. Appends to them are read from the entry
    /// after the version.
    put_whole: BTreeSet<Key>,
    /// Keys with nothing left below them. An append below one creates a value.
    emptied: BTreeSet<Key>,
    /// The number of effects processed.
    taken: usize,
    /// Where the differences below the next effect's key continue.
    below: Option<Key>,
    /// Appended values up to this key are finished.
    finished: Option<Key>,
    state: Gathers,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Gathers {
    #[default]
    Effects,
    Appended,
    Nothing,
}

impl Gathered {
    /// Whether everything was gathered.
    pub(crate) fn is_complete(&self) -> bool {
        self.state == Gathers::Nothing
    }

    /// The number of changed keys found so far.
    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    /// The changes, sorted by key.
    pub(crate) fn into_changes(self) -> Vec<KeyChange> {
        self.found.into_values().collect()
    }

    /// Gathers for about `visits` visits and returns how many it made.
    pub(crate) fn step(
        &mut self,
        of: &Gathering<'_>,
        source: &dyn NodeSource,
        visits: usize,
    ) -> Result<usize, Fault> {
        let mut made = 0;
        if self.state == Gathers::Effects {
            let effort = Effort::of(of.scopes);
            for effect in of.record.effects().skip(self.taken) {
                if made >= visits {
                    return Ok(made);
                }
                made += effort.visits(effect.key());
                made += self.take(effect, of, source, visits.saturating_sub(made))?;
                if self.below.is_some() {
                    return Ok(made);
                }
                self.taken += 1;
            }
            self.state = Gathers::Appended;
        }
        if self.state == Gathers::Appended {
            let from = self.finished.clone().map_or(Unbounded, Excluded);
            for (key, change) in self.found.range_mut((from, Unbounded)) {
                if made >= visits {
                    return Ok(made);
                }
                made += 1;
                if change.kind == ChangeKind::Append {
                    finish_appended(change, of, source)?;
                }
                self.finished = Some(key.clone());
            }
            self.state = Gathers::Nothing;
        }
        Ok(made)
    }

    /// Processes one effect, or the next page of differences below its key.
    fn take(
        &mut self,
        effect: &Effect,
        of: &Gathering<'_>,
        source: &dyn NodeSource,
        visits: usize,
    ) -> Result<usize, Fault> {
        let (key, between) = (effect.key(), of.between.as_ref());
        let mut made = 0;
        // What may lack an object comes first, and is repeated for each page of differences.
        let own = if in_scope(of.scopes, key) {
            let (put_whole, emptied) = (&self.put_whole, &self.emptied);
            let inside = || (1..=key.depth()).any(|count| put_whole.contains(&key.prefix(count)));
            let is_new = || (1..key.depth()).any(|count| emptied.contains(&key.prefix(count)));
            let told = match effect {
                Effect::Append { .. } if between.is_some() && inside() => None,
                Effect::Append { value, .. } if !self.found.contains_key(key) && is_new() => {
                    Some(change(key, ChangeKind::Put, inline(value)))
                }
                effect => direct(effect),
            };
            match told {
                Some(change) => Some(change),
                None => standing(key, between, of.want, source)?,
            }
        } else {
            None
        };
        if tells_below(effect, of.scopes) {
            if self.below.is_none() {
                made += self.forget_below(key);
            }
            if let Some(between) = between.filter(|_| of.want.below) {
                made += self.add_below(key, of, between, source, visits)?;
                if self.below.is_some() {
                    return Ok(made);
                }
            }
        }
        if let Some(change) = own {
            merge(&mut self.found, change);
        }
        match effect {
            Effect::Copy { .. } | Effect::Graft { .. } => {
                self.put_whole.insert(key.clone());
            }
            Effect::Append { .. } => {}
            effect => {
                self.put_whole.remove(key);
                if effect.subtree() {
                    self.emptied.insert(key.clone());
                }
            }
        }
        Ok(made)
    }

    /// Drops the changes found at and below a key; returns how many.
    fn forget_below(&mut self, key: &Key) -> usize {
        let from = self.found.range(key.clone()..);
        let gone: Vec<Key> = from
            .map(|(other, _)| other)
            .take_while(|other| other.starts_with(key))
            .cloned()
            .collect();
        for other in &gone {
            self.found.remove(other);
        }
        gone.len()
    }

    /// Adds the next page of differences below a key.
    fn add_below(
        &mut self,
        key: &Key,
        of: &Gathering<'_>,
        between: &Between<'_>,
        source: &dyn NodeSource,
        visits: usize,
    ) -> Result<usize, Fault> {
        let bounds = Bounds {
            items: DIFF_PAGE,
            visits,
        };
        let page = diff(
            between.before,
            between.after,
            source,
            between.params,
            of.scopes,
            key,
            self.below.as_ref(),
            bounds,
        )?;
        for Change { key, after, .. } in page.items {
            let change = match after {
                Some(entry) => entered_as(&key, &entry, of.want, source, between.params)?,
                None => change(&key, ChangeKind::Unlink, ChangeValue::None),
            };
            self.found.insert(key, change);
        }
        self.below = page.next;
        Ok(page.visits)
    }
}

fn finish_appended(
    change: &mut KeyChange,
    of: &Gathering<'_>,
    source: &dyn NodeSource,
) -> Result<(), Fault> {
    if of.want.wholes
        && let Some(now) = standing(&change.key, of.between.as_ref(), of.want, source)?
    {
        change.value = now.value;
    }
    let new = change.appended.as_ref().map_or(0, Bytes::len);
    if new as u64 > CHANGE_VALUE_BYTES {
        change.appended = None;
    }
    Ok(())
}
