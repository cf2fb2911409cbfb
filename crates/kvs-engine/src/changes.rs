//! From what a version did to what a watch of some scopes shall see of it.
//!
//! Effects on single keys are taken from the record as they are; where an effect changed keys below
//! its own (`subtree`), those are found as differences of the two roots. Of several effects on one
//! key only the final state is reported: within one version there is one value.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use kvs_tree::{
    Blobref, Directory, Effect, Entry, Fault, Key, NodeSource, Scope, StoreParams, Symlink, Value,
    entry_at,
};

use crate::limits::CHANGE_VALUE_BYTES;

/// How a key changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// A value was put.
    Put,
    /// Bytes were appended to a value.
    Append,
    /// The key is gone.
    Unlink,
    /// An empty directory was made, or a directory now stands here.
    Mkdir,
    /// A symbolic link was put.
    Link,
}

/// What stands at a changed key now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeValue {
    /// Nothing, or a directory.
    None,
    /// The value.
    Inline(Bytes),
    /// A value too large for an event; read it at the event's snapshot.
    Large {
        /// Its length in bytes.
        len: u64,
        /// The blob, or the root of its chunks.
        blobref: Option<Blobref>,
    },
    /// The link's target.
    Link(Symlink),
}

impl ChangeValue {
    fn size(&self) -> usize {
        match self {
            ChangeValue::Inline(bytes) => bytes.len(),
            ChangeValue::Link(link) => link.target.len(),
            ChangeValue::None | ChangeValue::Large { .. } => 0,
        }
    }
}

/// One changed key in an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// The key. Behind a link on the way to a watched key: as it was asked for; else as it stands
    /// in the tree.
    pub key: Key,
    /// How it changed.
    pub kind: ChangeKind,
    /// What stands there now.
    pub value: ChangeValue,
    /// For `Append`, the new bytes alone; left out where they are too large for an event.
    pub appended: Option<Bytes>,
    /// In append mode, where in the value the appended bytes begin; 0 for a value told as a whole.
    pub offset: Option<u64>,
    /// In append mode: these are not all the bytes of an append; the next change of the key goes on.
    pub more: bool,
    /// What stood there before, if it was asked for; [`ChangeValue::None`] for nothing.
    pub previous: Option<ChangeValue>,
}

impl KeyChange {
    /// The bytes of value that it carries.
    pub(crate) fn size(&self) -> usize {
        let previous = self.previous.as_ref().map_or(0, ChangeValue::size);
        self.value.size() + previous + self.appended.as_ref().map_or(0, Bytes::len)
    }
}

/// The two roots that a version lies between.
pub(crate) struct Between<'a> {
    pub(crate) before: &'a Directory,
    pub(crate) after: &'a Directory,
    pub(crate) params: &'a StoreParams,
}

/// How much is to be found out.
#[derive(Clone, Copy)]
pub(crate) struct Want {
    /// Changes below the keys of effects as well, as differences of the roots.
    pub(crate) below: bool,
    /// For appended values, the whole of them as well.
    pub(crate) wholes: bool,
    /// Values that the record does not hold.
    pub(crate) values: bool,
}

/// Whether gathering what the effect did needs the roots, which may have to be rebuilt.
pub(crate) fn needs_roots(effect: &Effect, scopes: &[Scope], want: Want) -> bool {
    let direct = match effect {
        Effect::Append { .. } => want.wholes,
        Effect::Copy { .. } | Effect::Graft { .. } => true,
        _ => false,
    };
    (direct && in_scope(scopes, effect.key())) || (want.below && tells_below(effect, scopes))
}

/// Whether the effect changed keys of the scopes below its own key.
pub(crate) fn tells_below(effect: &Effect, scopes: &[Scope]) -> bool {
    effect.subtree() && reaches_below(scopes, effect.key())
}

pub(crate) fn in_scope(scopes: &[Scope], key: &Key) -> bool {
    scopes.is_empty() || scopes.iter().any(|scope| scope.matches(key))
}

fn reaches_below(scopes: &[Scope], key: &Key) -> bool {
    scopes.is_empty() || scopes.iter().any(|scope| scope.may_match_below(key))
}

pub(crate) fn change(key: &Key, kind: ChangeKind, value: ChangeValue) -> KeyChange {
    KeyChange {
        key: key.clone(),
        kind,
        value,
        appended: None,
        offset: None,
        more: false,
        previous: None,
    }
}

/// The change that the effect itself tells, if it does.
pub(crate) fn direct(effect: &Effect) -> Option<KeyChange> {
    let key = effect.key();
    Some(match effect {
        Effect::Put { value, .. } => change(key, ChangeKind::Put, inline(value)),
        Effect::PutStored { len, blobref, .. } => {
            let value = ChangeValue::Large {
                len: *len,
                blobref: Some(*blobref),
            };
            change(key, ChangeKind::Put, value)
        }
        Effect::Append { value, .. } => KeyChange {
            key: key.clone(),
            kind: ChangeKind::Append,
            value: ChangeValue::None,
            appended: Some(value.clone()),
            offset: None,
            more: false,
            previous: None,
        },
        Effect::Unlink { .. } => change(key, ChangeKind::Unlink, ChangeValue::None),
        Effect::Mkdir { .. } => change(key, ChangeKind::Mkdir, ChangeValue::None),
        Effect::Link { target, .. } => {
            change(key, ChangeKind::Link, ChangeValue::Link(target.clone()))
        }
        Effect::Copy { .. } | Effect::Graft { .. } => return None,
    })
}

pub(crate) fn inline(value: &Bytes) -> ChangeValue {
    if value.len() as u64 > CHANGE_VALUE_BYTES {
        return ChangeValue::Large {
            len: value.len() as u64,
            blobref: None,
        };
    }
    ChangeValue::Inline(value.clone())
}

/// A later effect on the same key replaces the earlier; appended bytes add up.
pub(crate) fn merge(found: &mut BTreeMap<Key, KeyChange>, change: KeyChange) {
    let key = change.key.clone();
    let change = match (found.remove(&key), change.appended.clone()) {
        (Some(old), Some(new)) => appended_to(old, &new),
        _ => change,
    };
    found.insert(key, change);
}

/// `first` and then `new`. Copies `first` only if something else holds it, so that many appends to one key cost their bytes.
fn joined(first: Bytes, new: &Bytes) -> Bytes {
    let mut both = first.try_into_mut().unwrap_or_else(|shared| {
        let mut copy = BytesMut::with_capacity(shared.len() + new.len());
        copy.extend_from_slice(&shared);
        copy
    });
    both.extend_from_slice(new);
    both.freeze()
}

/// `old` and then `new` appended, in one version.
fn appended_to(mut old: KeyChange, new: &Bytes) -> KeyChange {
    if let Some(first) = old.appended.take() {
        let appended = Some(joined(first, new));
        return KeyChange { appended, ..old };
    }
    // A new value that was appended to at once is a put of the whole.
    let value = match std::mem::replace(&mut old.value, ChangeValue::None) {
        ChangeValue::Inline(first) => inline(&joined(first, new)),
        ChangeValue::Large { len, .. } => ChangeValue::Large {
            len: len + new.len() as u64,
            blobref: None,
        },
        ChangeValue::None | ChangeValue::Link(_) => inline(new),
    };
    KeyChange {
        kind: ChangeKind::Put,
        value,
        ..old
    }
}

/// What stands at `key` after the version.
pub(crate) fn standing(
    key: &Key,
    between: Option<&Between<'_>>,
    want: Want,
    source: &dyn NodeSource,
) -> Result<Option<KeyChange>, Fault> {
    let Some(between) = between else {
        return Ok(None);
    };
    match entry_at(between.after, source, key)? {
        Some(entry) => entered_as(key, &entry, want, source, between.params).map(Some),
        None => Ok(Some(change(key, ChangeKind::Unlink, ChangeValue::None))),
    }
}

/// An entry as a change that put it there, with its value only where values are wanted.
pub(crate) fn entered_as(
    key: &Key,
    entry: &Entry,
    want: Want,
    source: &dyn NodeSource,
    params: &StoreParams,
) -> Result<KeyChange, Fault> {
    match entry {
        Entry::Value(_) if !want.values => Ok(change(key, ChangeKind::Put, ChangeValue::None)),
        _ => entered(key, entry, source, params),
    }
}

/// An entry as a change that put it there.
pub(crate) fn entered(
    key: &Key,
    entry: &Entry,
    source: &dyn NodeSource,
    params: &StoreParams,
) -> Result<KeyChange, Fault> {
    Ok(match entry {
        Entry::Value(value) => change(key, ChangeKind::Put, change_value(value, source, params)?),
        Entry::Directory(_) => change(key, ChangeKind::Mkdir, ChangeValue::None),
        Entry::Symlink(link) => change(key, ChangeKind::Link, ChangeValue::Link(link.clone())),
    })
}

/// What an entry is to an event.
pub(crate) fn entry_value(
    entry: Option<&Entry>,
    source: &dyn NodeSource,
    params: &StoreParams,
) -> Result<ChangeValue, Fault> {
    match entry {
        Some(Entry::Value(value)) => change_value(value, source, params),
        Some(Entry::Symlink(link)) => Ok(ChangeValue::Link(link.clone())),
        Some(Entry::Directory(_)) | None => Ok(ChangeValue::None),
    }
}

fn change_value(
    value: &Value,
    source: &dyn NodeSource,
    params: &StoreParams,
) -> Result<ChangeValue, Fault> {
    if value.len() > CHANGE_VALUE_BYTES {
        return Ok(ChangeValue::Large {
            len: value.len(),
            blobref: value.blobref(params),
        });
    }
    Ok(ChangeValue::Inline(value.read(source, 0..value.len())?))
}
