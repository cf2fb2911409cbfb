//! Changes taken straight from a version's record and shaped for a watch: with previous values,
//! without values, only real changes of the value, or only the new bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use kvs_tree::{Effect, Effort, Entry, Fault, Key, NodeSource, StoreParams, entry_at};

use super::collect::Context;
use super::route::ScopeMapping;
use super::step::{ChangeSource, Pieces};
use crate::changes::{Between, ChangeKind, ChangeValue, KeyChange, Want, entry_value, needs_roots};
use crate::event_cache::{ModeKind, Shape};
use crate::gather::{Gathered, Gathering};
use crate::history::RootAt;
use crate::state::VersionRecord;

fn want(shape: Shape) -> Want {
    Want {
        below: false,
        wholes: shape.values && shape.kind != ModeKind::Append,
        values: shape.values,
    }
}

/// Whether reporting the effect needs the roots before and after the version.
pub(super) fn direct_needs_roots(effect: &Effect, aim: &ScopeMapping, shape: Shape) -> bool {
    let compares = shape.previous || matches!(shape.kind, ModeKind::Unique | ModeKind::Append);
    let touches = |key: &Key| aim.scopes().iter().any(|scope| scope.matches(key));
    needs_roots(effect, aim.scopes(), want(shape)) || (compares && touches(effect.key()))
}

/// Changes to watched keys that come from the record itself, in progress. Changes below an effect's
/// key come from a comparison of trees instead.
#[derive(Default)]
pub(super) struct Directing {
    gathered: Option<Gathered>,
    rest: std::vec::IntoIter<KeyChange>,
    /// See [`growth`]; computed on first use.
    growth: Option<BTreeMap<Key, Vec<u64>>>,
    pub(super) told: BTreeMap<Key, KeyChange>,
    pub(super) steps: Vec<ChangeSource>,
}

/// The inputs for the changes of one record.
pub(super) struct Source {
    pub(super) record: Arc<VersionRecord>,
    pub(super) aim: ScopeMapping,
    pub(super) roots: Option<(RootAt, RootAt)>,
    pub(super) shape: Shape,
}

impl Directing {
    pub(super) fn new() -> Self {
        Self {
            gathered: Some(Gathered::default()),
            ..Self::default()
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.gathered.is_none() && self.rest.len() == 0
    }

    /// Continues for about `visits` visits and returns how many it made.
    pub(super) fn step(
        &mut self,
        of: &Source,
        source: &dyn NodeSource,
        params: &StoreParams,
        visits: usize,
    ) -> Result<usize, Fault> {
        if of.aim.scopes().is_empty() {
            self.gathered = None;
            return Ok(1);
        }
        let between = || {
            of.roots.as_ref().map(|(before, after)| Between {
                before: &before.directory,
                after: &after.directory,
                params,
            })
        };
        let mut made = 0;
        if let Some(gathered) = &mut self.gathered {
            let gathering = Gathering {
                record: &of.record,
                scopes: of.aim.scopes(),
                between: between(),
                want: want(of.shape),
            };
            made += gathered.step(&gathering, source, visits)?;
            if !gathered.is_complete() {
                return Ok(made);
            }
            let gathered = self.gathered.take().unwrap_or_default();
            self.rest = gathered.into_changes().into_iter();
        }
        let effort = Effort::of(of.aim.scopes());
        let between = between();
        let context = Context {
            source,
            params,
            shape: of.shape,
        };
        while let Some(one) = self.rest.as_slice().first() {
            if made >= visits {
                break;
            }
            made += effort.visits(&one.key) + one.key.depth();
            self.finish(one.clone(), of, between.as_ref(), &context)?;
            self.rest.next();
        }
        Ok(made)
    }

    /// Shapes one change for the watch.
    fn finish(
        &mut self,
        mut one: KeyChange,
        of: &Source,
        between: Option<&Between<'_>>,
        context: &Context<'_>,
    ) -> Result<(), Fault> {
        let shape = context.shape;
        let mut grown = None;
        if let Some(between) = between {
            let before = entry_at(between.before, context.source, &one.key)?;
            if shape.kind == ModeKind::Unique && one.kind == ChangeKind::Put {
                let after = entry_at(between.after, context.source, &one.key)?;
                if let (Some(a), Some(b)) = (&before, &after)
                    && a.same(b, context.params)
                {
                    return Ok(());
                }
            }
            if shape.kind == ModeKind::Append {
                match one.kind {
                    ChangeKind::Append => {
                        one.offset = Some(match &before {
                            Some(Entry::Value(value)) => value.len(),
                            _ => 0,
                        });
                        let growth = self.growth.get_or_insert_with(|| match shape.values {
                            true => growth(&of.record),
                            false => BTreeMap::new(),
                        });
                        let several = growth.get(&one.key).is_some_and(|ends| ends.len() > 1);
                        grown = entry_at(between.after, context.source, &one.key)?
                            .filter(|_| several || one.appended.is_none());
                    }
                    ChangeKind::Put => one.offset = Some(0),
                    _ => {}
                }
            }
            if shape.previous {
                let before = entry_value(before.as_ref(), context.source, context.params)?;
                one.previous = Some(before);
            }
        }
        if !shape.values && matches!(one.kind, ChangeKind::Put | ChangeKind::Append) {
            one.value = ChangeValue::None;
            one.appended = None;
        }
        for shown in of.aim.shown(&one.key) {
            match (&grown, one.offset) {
                (Some(Entry::Value(value)), Some(at)) if shape.values => {
                    let growth = self.growth.iter();
                    let lengths = growth.filter_map(|all| all.get(&one.key)).flatten();
                    let ends = lengths.scan(at, |end, length| {
                        *end += length;
                        Some(*end)
                    });
                    self.steps.push(ChangeSource::Pieces(Pieces {
                        shown,
                        value: value.clone(),
                        at,
                        ends: ends.collect(),
                        next: 0,
                    }));
                }
                _ => {
                    let key = shown.clone();
                    self.told.insert(shown, KeyChange { key, ..one.clone() });
                }
            }
        }
        Ok(())
    }
}

/// The lengths of a version's appends, in order, by key. Keys with any other effect are not
/// reported from here.
fn growth(record: &VersionRecord) -> BTreeMap<Key, Vec<u64>> {
    let mut lengths: BTreeMap<Key, Vec<u64>> = BTreeMap::new();
    for effect in record.effects() {
        if let Effect::Append { key, value } = effect {
            lengths
                .entry(key.clone())
                .or_default()
                .push(value.len() as u64);
        }
    }
    lengths
}

/// The initial changes of an append-mode watch of one key whose client has the first `offset`
/// bytes: the missing rest of the value.
pub(super) fn missing_part(
    shown: &Key,
    entry: Option<&Entry>,
    offset: u64,
    context: &Context<'_>,
) -> Result<(Vec<KeyChange>, Option<ChangeSource>), Fault> {
    let change = |kind, value| KeyChange {
        key: shown.clone(),
        kind,
        value,
        appended: None,
        offset: Some(0),
        more: false,
        previous: None,
    };
    Ok(match entry {
        Some(Entry::Value(value)) if value.len() > offset => {
            let pieces = Pieces::of_one(shown.clone(), value.clone(), offset);
            (Vec::new(), Some(ChangeSource::Pieces(pieces)))
        }
        Some(Entry::Value(value)) if value.len() == offset => (Vec::new(), None),
        None if offset == 0 => (Vec::new(), None),
        None => (vec![change(ChangeKind::Unlink, ChangeValue::None)], None),
        Some(entry) => {
            let value = entry_value(Some(entry), context.source, context.params)?;
            let kind = match entry {
                Entry::Value(_) => ChangeKind::Put,
                Entry::Directory(_) => ChangeKind::Mkdir,
                Entry::Symlink(_) => ChangeKind::Link,
            };
            (vec![change(kind, value)], None)
        }
    })
}
