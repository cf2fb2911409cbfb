//! What a version did within some scopes, gathered from its record effect by effect, in steps of
//! bounded length: a version may have many effects, there may be many scopes, and what one effect did
//! below its key may be a whole tree.

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

/// What a record is gathered for.
pub(crate) struct Gathering<'a> {
    pub(crate) record: &'a VersionRecord,
    /// None: everywhere.
    pub(crate) scopes: &'a [Scope],
    /// May be left out where [`needs_roots`] says so.
    pub(crate) between: Option<Between<'a>>,
    pub(crate) want: Want,
}

/// What a record changed within some scopes, as far as it was gathered: effect by effect, in steps of
/// bounded length. A step that lacks an object leaves what it gathered, and is done again.
#[derive(Default)]
pub(crate) struct Gathered {
    found: BTreeMap<Key, KeyChange>,
    /// Where a value was put that the record does not hold: what is appended to it is in what stands
    /// there after the version.
    put_whole: BTreeSet<Key>,
    /// Where all that was below is gone: what is appended to there is new.
    emptied: BTreeSet<Key>,
    /// Effects that were taken in.
    taken: usize,
    /// Where differences below the key of the next effect go on.
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

    /// How many changed keys were found.
    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    /// The changes, sorted by key.
    pub(crate) fn into_changes(self) -> Vec<KeyChange> {
        self.found.into_values().collect()
    }

    /// Gathers for about so many visits; how many it made.
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

    /// Takes in one effect, or the next differences below its key.
    fn take(
        &mut self,
        effect: &Effect,
        of: &Gathering<'_>,
        source: &dyn NodeSource,
        visits: usize,
    ) -> Result<usize, Fault> {
        let (key, between) = (effect.key(), of.between.as_ref());
        let mut made = 0;
        // What may lack an object comes first, and is done again for each page of differences.
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

    /// What was found at and below a key is not so any more.
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

    /// The next page of what differs below a key.
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
