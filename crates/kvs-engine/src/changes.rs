//! Turns the effects of a version into the changes that a watch of some scopes sees.
//!
//! Effects on single keys are taken from the record. Where an effect changed keys below its own
//! (`subtree`), the changes are found by comparing the two roots. If several effects touch one key,
//! only the final state is reported: a version has one value per key.

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
    /// The entry was removed.
    Unlink,
    /// An empty directory was created, or the entry is now a directory.
    Mkdir,
    /// A symbolic link was put.
    Link,
}

/// The entry now at a changed key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeValue {
    /// Nothing, or a directory.
    None,
    /// The value's bytes.
    Inline(Bytes),
    /// A value too large for an event; read it at the event's snapshot.
    Large {
        /// The length in bytes.
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

/// The change of one key in an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// The key as it is in the tree; if reached through a link, as the watch requested it.
    pub key: Key,
    /// How it changed.
    pub kind: ChangeKind,
    /// The entry now at the key.
    pub value: ChangeValue,
    /// For `Append`, only the new bytes; `None` if they are too large for an event.
    pub appended: Option<Bytes>,
    /// In append mode, the offset of the appended bytes in the value; 0 for a whole value.
    pub offset: Option<u64>,
    /// In append mode, whether the append continues in the next change of the key.
    pub more: bool,
    /// The previous entry, if requested; [`ChangeValue::None`] if there was none.
    pub previous: Option<ChangeValue>,
}

impl KeyChange {
    /// The bytes of values that the change carries.
    pub(crate) fn size(&self) -> usize {
        let previous = self.previous.as_ref().map_or(0, ChangeValue::size);
        self.value.size() + previous + self.appended.as_ref().map_or(0, Bytes::len)
    }
}

/// The roots before and after a version.
pub(crate) struct Between<'a> {
    pub(crate) before: &'a Directory,
    pub(crate) after: &'a Directory,
    pub(crate) params: &'a StoreParams,
}

/// Which details are needed.
#[derive(Clone, Copy)]
pub(crate) struct Want {
    /// Changes below the keys of effects, from differences of the roots.
    pub(crate) below: bool,
    /// The whole value after an append.
    pub(crate) wholes: bool,
    /// Values that the record does not contain.
    pub(crate) values: bool,
}

/// Whether the changes of the effect depend on the roots, which may have to be rebuilt.
pub(crate) fn needs_roots(effect: &Effect, scopes: &[Scope], want: Want) -> bool {
    let direct = match effect {
        Effect::Append { .. } => want.wholes,
        Effect::Copy { .. } | Effect::Graft { .. } => true,
        _ => false,
    };
    (direct && in_scope(scopes, effect.key())) || (want.below && tells_below(effect, scopes))
}

/// Whether the effect may have changed keys in the scopes below its own key.
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

/// The change that the effect itself describes, if it does.
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

/// A later effect on a key replaces an earlier one; appended bytes are joined.
pub(crate) fn merge(found: &mut BTreeMap<Key, KeyChange>, change: KeyChange) {
    let key = change.key.clone();
    let change = match (found.remove(&key), change.appended.clone()) {
        (Some(old), Some(new)) => appended_to(old, &new),
        _ => change,
    };
    found.insert(key, change);
}

/// Appends `new` to `first`. Copies `first` only if it is shared, so that many appends to one key
/// cost only their bytes.
fn joined(first: Bytes, new: &Bytes) -> Bytes {
    let mut both = first.try_into_mut().unwrap_or_else(|shared| {
        let mut copy = BytesMut::with_capacity(shared.len() + new.len());
        copy.extend_from_slice(&shared);
        copy
    });
    both.extend_from_slice(new);
    both.freeze()
}

/// The change `old` followed by an append of `new`, in one version.
fn appended_to(mut old: KeyChange, new: &Bytes) -> KeyChange {
    if let Some(first) = old.appended.take() {
        let appended = Some(joined(first, new));
        return KeyChange { appended, ..old };
    }
    // A put and an append in one version are a put of the whole.
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

/// The entry at `key` after the version, as a change.
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

/// The change that puts an entry, with its value only if values are wanted.
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

/// The change that puts an entry.
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

/// An entry as an event carries it.
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
