//! Events of a watch for the wire. A body is encoded once for all watches that share the event,
//! unless one of its values exceeds the inline limit of a watch.

use bytes::Bytes;
use kvs_engine::{Behind, ChangeKind, ChangeValue, KeyChange, Position, WatchEvent};
use kvs_proto as wire;
use kvs_proto::{ProtocolError, encode_body};
use kvs_tree::Blobref;
use smol_str::SmolStr;

use super::outgoing::{change_kind, link, position, snapshot, text, transaction};

/// The body of an event's frame, with values up to `limit` inline.
pub(crate) fn body(
    namespace: &str,
    event: &WatchEvent,
    limit: u64,
) -> Result<Bytes, ProtocolError> {
    encode_body(&item(namespace, event, limit))
}

/// Whether the event has no value longer than `limit`, so that its body is the same for every watch
/// with at least this limit.
pub(crate) fn fits(event: &WatchEvent, limit: u64) -> bool {
    let (WatchEvent::Initial { entries: all, .. } | WatchEvent::Changes { changes: all, .. }) =
        event
    else {
        return true;
    };
    let short = |value: Option<&ChangeValue>| match value {
        Some(ChangeValue::Inline(bytes)) => bytes.len() as u64 <= limit,
        _ => true,
    };
    all.iter().all(|one| {
        let appended = one.appended.as_ref().map_or(0, Bytes::len) as u64;
        appended <= limit && short(Some(&one.value)) && short(one.previous.as_ref())
    })
}

/// The position that a client reaches with this event, unless further parts follow.
pub(crate) fn reached(event: &WatchEvent) -> Option<Position> {
    match event {
        WatchEvent::Initial { position, last, .. } | WatchEvent::Changes { position, last, .. } => {
            last.then_some(*position)
        }
        // The state at `to` follows.
        WatchEvent::Gap { .. } => None,
    }
}

/// Converts an event to an item.
fn item(namespace: &str, event: &WatchEvent, limit: u64) -> wire::WatchItem {
    match event {
        WatchEvent::Initial {
            position: at,
            root,
            time_ms,
            entries,
            differences,
            last,
        } => wire::WatchItem::Initial(wire::Initial {
            position: position(*at),
            root: text(*root),
            snapshot: snapshot(namespace, *at, *root),
            time_ms: *time_ms,
            differences: *differences,
            entries: entries.iter().map(|entry| change(entry, limit)).collect(),
            last: *last,
        }),
        WatchEvent::Changes {
            position: at,
            root,
            time_ms,
            transactions,
            changes,
            skipped,
            behind,
            last,
        } => wire::WatchItem::Changes(wire::Changes {
            position: position(*at),
            root: text(*root),
            snapshot: snapshot(namespace, *at, *root),
            time_ms: *time_ms,
            transactions: transactions.iter().map(transaction).collect(),
            skipped: *skipped,
            changes: changes.iter().map(|one| change(one, limit)).collect(),
            behind: behind.as_ref().map(elsewhere),
            last: *last,
        }),
        // The state at `to` follows as separate items.
        WatchEvent::Gap { from, to } => wire::WatchItem::Gap(wire::Gap {
            from: position(*from),
            to: position(*to),
            snapshot: SmolStr::default(),
        }),
    }
}

/// Encodes a state of another namespace.
fn elsewhere(behind: &Behind) -> wire::Behind {
    let Behind {
        namespace,
        position: at,
        root,
    } = behind;
    wire::Behind {
        namespace: namespace.clone(),
        position: root.map(|_| position(*at)),
        snapshot: root.map_or_else(SmolStr::default, |root| snapshot(namespace, *at, root)),
    }
}

/// A changed key, with its bytes if there are at most `limit`.
fn change(change: &KeyChange, limit: u64) -> wire::Change {
    let content = match (change.kind, &change.appended) {
        (ChangeKind::Append, Some(appended)) => bytes(appended, limit),
        _ => value(&change.value, limit),
    };
    let kind = change_kind(change.kind);
    let mut told = wire::Change::new(change.key.as_str(), kind, content);
    told.previous = change.previous.as_ref().map(|one| value(one, limit));
    (told.offset, told.more) = (change.offset, change.more);
    told
}

/// Encodes the content of a key.
fn value(value: &ChangeValue, limit: u64) -> wire::ChangeValue {
    match value {
        ChangeValue::None => wire::ChangeValue::None,
        ChangeValue::Inline(inline) => bytes(inline, limit),
        ChangeValue::Large { len, blobref } => large(*len, *blobref),
        ChangeValue::Link(target) => wire::ChangeValue::Link(link(target)),
    }
}

/// The bytes, or only their number if there are more than `limit`.
fn bytes(bytes: &Bytes, limit: u64) -> wire::ChangeValue {
    if bytes.len() as u64 <= limit {
        wire::ChangeValue::Bytes(bytes.clone())
    } else {
        large(bytes.len() as u64, None)
    }
}

fn large(size: u64, blobref: Option<Blobref>) -> wire::ChangeValue {
    wire::ChangeValue::Large {
        size,
        blobref: blobref.map(text).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvs_proto::decode_body;
    use kvs_tree::{HashAlgorithm, Key};

    fn event(value: &'static [u8], previous: Option<ChangeValue>) -> WatchEvent {
        WatchEvent::Changes {
            position: Position {
                incarnation: 1,
                version: 7,
            },
            root: Blobref::of(HashAlgorithm::Blake3, b""),
            time_ms: 5,
            transactions: Vec::new(),
            changes: vec![KeyChange {
                key: Key::parse("a.b").unwrap(),
                kind: ChangeKind::Put,
                value: ChangeValue::Inline(Bytes::from_static(value)),
                appended: None,
                offset: Some(0),
                more: false,
                previous,
            }],
            skipped: 3,
            behind: None,
            last: true,
        }
    }

    #[test]
    fn what_a_watch_asked_for_beside_the_value_is_told() {
        let event = event(b"x", Some(ChangeValue::None));
        let item = decode_body(&body("primary", &event, 10).unwrap()).unwrap();
        let wire::WatchItem::Changes(changes) = item else {
            panic!("{item:?}")
        };
        let one = &changes.changes[0];
        assert_eq!(one.previous, Some(wire::ChangeValue::None));
        assert_eq!((one.offset, changes.skipped), (Some(0), 3));
        assert!(changes.snapshot.starts_with("primary@7:blake3-"));
    }

    #[test]
    fn values_that_are_longer_than_wanted_are_told_by_their_size() {
        let previous = Some(ChangeValue::Inline(Bytes::from_static(b"four")));
        let event = event(b"x", previous);
        assert!(fits(&event, 4) && !fits(&event, 3));
        let item = decode_body(&body("primary", &event, 3).unwrap()).unwrap();
        let wire::WatchItem::Changes(changes) = item else {
            panic!("{item:?}")
        };
        let previous = changes.changes[0].previous.as_ref();
        assert!(matches!(
            previous,
            Some(wire::ChangeValue::Large { size: 4, .. })
        ));
    }
}
