//! What events of a watch are about, and whether what they tell is what was told before.

use blake3::Hash;
use kvs_client::{At, Changes, Entry, Event, LookupAnswer};
use smol_str::SmolStr;

/// What was told last.
#[derive(Default)]
pub(super) struct Last {
    pub(super) any: bool,
    hash: Option<Hash>,
}

impl Last {
    /// Whether this is to be told; not if it is to be `compared` and is the same.
    pub(super) fn takes(&mut self, now: Option<Hash>, compared: bool) -> bool {
        let same = compared && self.any && now.is_some() && self.hash == now;
        (self.any, self.hash) = (true, now);
        !same
    }
}

/// What tells whether a value is another one: its bytes, its blobref, or the tree object.
pub(super) fn identity(found: &LookupAnswer) -> Option<Hash> {
    if let Some(treeobj) = &found.treeobj {
        return Some(hash(b't', treeobj.as_bytes()));
    }
    let Some(Entry::Value(value)) = &found.entry else {
        return None;
    };
    match (&value.bytes, &value.blobref) {
        (Some(bytes), _) => Some(hash(b'v', bytes)),
        (None, blobref) => Some(hash(b'b', blobref.as_ref()?.as_bytes())),
    }
}

pub(super) fn hash(kind: u8, bytes: &[u8]) -> Hash {
    blake3::Hasher::new()
        .update(&[kind])
        .update(bytes)
        .finalize()
}

/// The state that an event is about.
pub(super) fn snapshot(event: &Event) -> Option<At> {
    match event {
        Event::Initial(state) => Some(At::Snapshot(state.snapshot.clone())),
        Event::Changes(version) => Some(At::Snapshot(version.snapshot.clone())),
        _ => None,
    }
}

/// The reference of the state that an event's values are of, which a lookup would name as well:
/// behind a link into another namespace that of the other one.
pub(super) fn told_state(event: &Event) -> SmolStr {
    match event {
        Event::Changes(Changes {
            behind: Some(behind),
            ..
        }) => behind.snapshot.clone(),
        event => event.snapshot().unwrap_or_default().into(),
    }
}

pub(super) fn is_last(event: &Event) -> bool {
    match event {
        Event::Initial(state) => state.last,
        Event::Changes(version) => version.last,
        _ => true,
    }
}

/// Whether it tells what is there, which may have been told before, instead of what happened.
pub(super) fn is_told_again(event: &Event) -> bool {
    match event {
        Event::Initial(_) => true,
        Event::Changes(version) => version.behind.is_some(),
        _ => false,
    }
}
