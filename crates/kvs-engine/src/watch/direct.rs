//! The changes that a version's record tells by itself, finished for a watch: with previous values,
//! without values, only those that are another value, only the bytes that are new.

use std::collections::BTreeMap;

use kvs_tree::{Effect, Entry, Fault, Key, entry_at};

use super::route::Aim;
use super::step::{Context, Pieces, Step};
use crate::changes::{
    Between, ChangeKind, ChangeValue, KeyChange, Want, changes, entry_value, needs_roots,
};
use crate::record::VersionRecord;
use crate::shared::{ModeKind, Shape};

/// The finished changes by the keys they are told under, and steps for what is too large for them.
pub(super) type Direct = (BTreeMap<Key, KeyChange>, Vec<Step>);

fn want(shape: Shape) -> Want {
    Want {
        below: false,
        wholes: shape.values && shape.kind != ModeKind::Append,
    }
}

/// Whether [`direct`] needs the roots that the version lies between.
pub(super) fn direct_needs_roots(record: &VersionRecord, aim: &Aim, shape: Shape) -> bool {
    let touches = |key: &Key| aim.scopes().iter().any(|scope| scope.matches(key));
    let compares = shape.previous || matches!(shape.kind, ModeKind::Unique | ModeKind::Append);
    needs_roots(record, aim.scopes(), want(shape))
        || (compares && record.effects().any(|effect| touches(effect.key())))
}

/// What the record did to keys that the watch looks at; what it did below them, differences tell.
pub(super) fn direct(
    record: &VersionRecord,
    aim: &Aim,
    between: Option<&Between<'_>>,
    context: &Context<'_>,
) -> Result<Direct, Fault> {
    let (mut told, mut steps) = (BTreeMap::new(), Vec::new());
    if aim.scopes().is_empty() {
        return Ok((told, steps));
    }
    let shape = context.shape;
    let growth = match shape.kind {
        ModeKind::Append if shape.values => growth(record),
        _ => BTreeMap::new(),
    };
    for mut one in changes(record, aim.scopes(), between, want(shape), context.source)? {
        let mut grown = None;
        if let Some(between) = between {
            let before = entry_at(between.before, context.source, &one.key)?;
            if shape.kind == ModeKind::Unique && one.kind == ChangeKind::Put {
                let after = entry_at(between.after, context.source, &one.key)?;
                if let (Some(a), Some(b)) = (&before, &after)
                    && a.same(b, context.params)
                {
                    continue;
                }
            }
            if shape.kind == ModeKind::Append {
                match one.kind {
                    ChangeKind::Append => {
                        one.offset = Some(match &before {
                            Some(Entry::Value(value)) => value.len(),
                            _ => 0,
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
        for shown in aim.shown(&one.key) {
            match (&grown, one.offset) {
                (Some(Entry::Value(value)), Some(at)) if shape.values => {
                    let lengths = growth.get(&one.key).into_iter().flatten();
                    let ends = lengths.scan(at, |end, length| {
                        *end += length;
                        Some(*end)
                    });
                    steps.push(Step::Pieces(Pieces {
                        shown,
                        value: value.clone(),
                        at,
                        ends: ends.collect(),
                        next: 0,
                    }));
                }
                _ => {
                    let key = shown.clone();
                    told.insert(shown, KeyChange { key, ..one.clone() });
                }
            }
        }
    }
    Ok((told, steps))
}

/// How many bytes each append of a version added, by key. A key that anything else happened to is told otherwise.
fn growth(record: &VersionRecord) -> BTreeMap<&Key, Vec<u64>> {
    let mut lengths: BTreeMap<&Key, Vec<u64>> = BTreeMap::new();
    for effect in record.effects() {
        if let Effect::Append { key, value } = effect {
            lengths.entry(key).or_default().push(value.len() as u64);
        }
    }
    lengths
}

/// The first bytes of an append-mode watch of one key: what the client, which has `offset` bytes,
/// does not have of the value yet.
pub(super) fn missing_part(
    shown: &Key,
    entry: Option<&Entry>,
    offset: u64,
    context: &Context<'_>,
) -> Result<(Vec<KeyChange>, Option<Step>), Fault> {
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
            (Vec::new(), Some(Step::Pieces(pieces)))
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
