//! The state that a watch event is about, and whether it repeats the last one.

use blake3::Hash;
use kvs_client::{At, Changes, Entry, Event, LookupAnswer};
use smol_str::SmolStr;

/// The last printed state of a key.
#[derive(Default)]
pub(super) struct Last {
    pub(super) any: bool,
    hash: Option<Hash>,
}

impl Last {
    /// Records `now`. Returns whether to print it: not if `compared` and it equals the last one.
    pub(super) fn takes(&mut self, now: Option<Hash>, compared: bool) -> bool {
        let same = compared && self.any && now.is_some() && self.hash == now;
        (self.any, self.hash) = (true, now);
        !same
    }
}

/// Identity of a value: the hash of its bytes, of its blobref, or of the tree object.
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

/// The snapshot that an event is about.
pub(super) fn snapshot(event: &Event) -> Option<At> {
    match event {
        Event::Initial(state) => Some(At::Snapshot(state.snapshot.clone())),
        Event::Changes(version) => Some(At::Snapshot(version.snapshot.clone())),
        _ => None,
    }
}

/// Reference of the snapshot that contains an event's values. For a link into another namespace, a
/// snapshot of that namespace.
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

/// Whether an event reports a state, which may have been reported before, rather than changes.
pub(super) fn is_told_again(event: &Event) -> bool {
    match event {
        Event::Initial(_) => true,
        Event::Changes(version) => version.behind.is_some(),
        _ => false,
    }
}
