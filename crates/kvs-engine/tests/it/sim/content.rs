//! Checks that a delivery is true: the right keys, each with its content.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kvs_engine::{ChangeKind, ChangeValue, KeyChange, Mode};
use kvs_tree::{Key, Symlink};

use super::history::{Delivery, Kind, Verdict, Wish};
use super::lives::life;
use super::sight::Sight;
use super::tree::{Thing, target_of};

/// The longest value that an event carries.
const CARRIED: usize = 64 * 1024;

fn refuse(what: impl Into<String>) -> Verdict {
    Err(what.into())
}

pub(super) fn check(one: &Delivery<'_>, wish: &Wish, sight: &Sight<'_>) -> Verdict {
    let version = one.version;
    let told: BTreeSet<Key> = one.changes().map(|change| change.key.clone()).collect();
    let had = one.had.unwrap_or(0);
    let latest = wish.mode == Mode::Latest;
    if latest && one.kind == Kind::Version && life(had) != life(version) {
        return refuse("it is told as what came of another life");
    }
    // The version before, the keys that must be in the delivery, and those that may be.
    let (before, must, may) = match one.kind {
        Kind::Gap { .. } => return Ok(()),
        Kind::Abroad => (version, BTreeSet::new(), BTreeSet::new()),
        Kind::Version if latest => {
            let may = (had + 1..=version).flat_map(|version| sight.may(version));
            (had, sight.differences(had, version), may.collect())
        }
        Kind::Version => (version - 1, sight.told(version), sight.may(version)),
        Kind::Rest => (version, BTreeSet::new(), sight.keys(version)),
        Kind::State {
            against: Some(from),
        } => {
            let may = (from + 1..=version).flat_map(|version| sight.may(version));
            (from, sight.differences(from, version), may.collect())
        }
        Kind::State { against: None } => (version, sight.keys(version), sight.all(version)),
    };
    // What is behind a link into another namespace is checked by other validators.
    let loose = |key: &Key| sight.is_abroad(before, key) || sight.is_abroad(version, key);
    let extra = told
        .difference(&may)
        .find(|key| !must.contains(*key) && !loose(key));
    if let Some(extra) = extra {
        return refuse(format!("{extra} is told and did not change"));
    }
    if one.whole
        && let Some(missing) = must.difference(&told).next()
    {
        return refuse(format!("{missing} changed and is not told"));
    }
    if one.kind == Kind::Version && told.is_empty() && one.whole {
        return refuse("nothing is told");
    }
    let truth = sight.version(version);
    if truth.root.is_some() && one.root != truth.root {
        return refuse(format!("the root is {:?}, not {:?}", one.root, truth.root));
    }
    if one.kind == Kind::Abroad && !one.numbers.is_empty() {
        return refuse("what is in another namespace bears transactions");
    }
    if one.kind == Kind::Version && one.numbers != truth.numbers {
        let of = &truth.numbers;
        return refuse(format!("by the transactions {:?}, not {of:?}", one.numbers));
    }
    let mut pieces: BTreeMap<&Key, Vec<(u64, &Bytes)>> = BTreeMap::new();
    for change in one.changes().filter(|change| !loose(&change.key)) {
        let things = sight.at(version, &change.key);
        if let (Mode::Append { .. }, Some(new)) = (wish.mode, &change.appended) {
            let offset = change.offset.ok_or("bytes without an offset")?;
            pieces.entry(&change.key).or_default().push((offset, new));
            continue;
        }
        if !things
            .iter()
            .any(|thing| stands(change, thing.as_ref(), wish))
        {
            let short: Vec<_> = things.iter().map(short).collect();
            let KeyChange {
                key, kind, value, ..
            } = change;
            let value = match value {
                ChangeValue::Inline(bytes) => short_bytes(bytes),
                other => format!("{other:?}"),
            };
            return refuse(format!(
                "{key} is told as {kind:?} {value}, but is {short:?}"
            ));
        }
        let again = sight.at(before, &change.key) == things;
        if again && sight.only_new && one.kind == Kind::Version && change.kind == ChangeKind::Put {
            return refuse(format!("{} is put and was the same before", change.key));
        }
        let listed = one.kind == Kind::State { against: None };
        let old = sight.at(before, &change.key);
        previous(change, &old, wish.previous && !listed)?;
    }
    if !one.whole {
        return Ok(());
    }
    for (key, pieces) in pieces {
        grown(key, &pieces, one.kind, before, version, sight)?;
    }
    Ok(())
}

fn short(thing: &Option<Thing>) -> String {
    match thing {
        Some(Thing::Value(bytes)) => short_bytes(bytes),
        other => format!("{other:?}"),
    }
}

fn short_bytes(bytes: &Bytes) -> String {
    let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(12)]).into_owned();
    format!("{begin:?} ({} bytes)", bytes.len())
}

pub(super) fn leads_to(link: &Symlink, target: &str) -> bool {
    target_of(target) == (link.namespace.as_deref(), &*link.target)
}

fn is_value(value: &ChangeValue, bytes: &Bytes) -> bool {
    match value {
        ChangeValue::Inline(told) => told == bytes && bytes.len() <= CARRIED,
        ChangeValue::Large { len, .. } => *len == bytes.len() as u64 && bytes.len() > CARRIED,
        _ => false,
    }
}

/// Whether a change reports this content at its key.
fn stands(change: &KeyChange, thing: Option<&Thing>, wish: &Wish) -> bool {
    let empty = change.value == ChangeValue::None;
    match (change.kind, thing) {
        (ChangeKind::Unlink, None) => empty,
        (ChangeKind::Mkdir, Some(Thing::Directory)) => empty,
        (ChangeKind::Link, Some(Thing::Link(target))) => {
            matches!(&change.value, ChangeValue::Link(link) if leads_to(link, target))
        }
        (ChangeKind::Put | ChangeKind::Append, Some(Thing::Value(_))) if !wish.values => {
            empty && change.appended.is_none()
        }
        (ChangeKind::Put, Some(Thing::Value(bytes))) => {
            let whole = matches!(wish.mode, Mode::Append { .. });
            is_value(&change.value, bytes) && (!whole || change.offset == Some(0))
        }
        (ChangeKind::Append, Some(Thing::Value(bytes))) => {
            let new = change.appended.as_ref();
            is_value(&change.value, bytes) && new.is_none_or(|new| bytes.ends_with(new))
        }
        _ => false,
    }
}

fn previous(change: &KeyChange, old: &[Option<Thing>], wanted: bool) -> Verdict {
    let right = match &change.previous {
        None => !wanted,
        Some(told) => {
            wanted
                && old.iter().any(|thing| match (told, thing) {
                    (ChangeValue::None, None | Some(Thing::Directory)) => true,
                    (ChangeValue::Link(link), Some(Thing::Link(target))) => leads_to(link, target),
                    (told, Some(Thing::Value(bytes))) => is_value(told, bytes),
                    _ => false,
                })
        }
    };
    if right {
        return Ok(());
    }
    let old: Vec<_> = old.iter().map(short).collect();
    refuse(format!("before, {} was {old:?}", change.key))
}

/// Whether the pieces are exactly the bytes by which a value grew, each at its offset.
fn grown(
    key: &Key,
    pieces: &[(u64, &Bytes)],
    kind: Kind,
    before: u64,
    version: u64,
    sight: &Sight<'_>,
) -> Verdict {
    let value = |version| {
        let things = sight.at(version, key);
        things.into_iter().find_map(|thing| match thing {
            Some(Thing::Value(bytes)) => Some(bytes),
            _ => None,
        })
    };
    let Some(now) = value(version) else {
        return refuse(format!("bytes were appended to {key}, which is no value"));
    };
    let mut end = match kind {
        Kind::Version => value(before).map_or(0, |bytes| bytes.len() as u64),
        _ => pieces[0].0,
    };
    for (offset, bytes) in pieces {
        let range = end as usize..end as usize + bytes.len();
        if *offset != end || now.get(range) != Some(bytes) {
            return refuse(format!(
                "other bytes than {key} grew by at {offset}, not {end}"
            ));
        }
        end += bytes.len() as u64;
    }
    if end != now.len() as u64 {
        return refuse(format!("{key} grew to {}, told up to {end}", now.len()));
    }
    Ok(())
}
