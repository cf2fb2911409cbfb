//! Root moves for the wire. The keys that one version touched may exceed a frame, so a move is sent
//! in parts; the unsent parts are the only queue of a stream.

use std::collections::VecDeque;

use kvs_engine::{ChangeKind, EngineError, Follower, NamespaceInfo, Place, Position, RootEvent};
use kvs_proto as wire;
use kvs_proto::{PAGE_ENTRIES, PART_BYTES, RootItem};
use kvs_tree::Key;

use super::outgoing;

/// A follower and the unsent parts of its last event.
pub(crate) struct Roots {
    follower: Follower,
    rest: VecDeque<RootItem>,
}

impl Roots {
    /// A source that has delivered nothing yet.
    pub(crate) fn new(follower: Follower) -> Roots {
        Roots {
            follower,
            rest: VecDeque::new(),
        }
    }

    /// Its position, if it follows one namespace.
    pub(crate) fn position(&self) -> Option<Position> {
        self.follower.position()
    }

    /// The resume token for a client that has received everything so far.
    pub(crate) fn mark(&self) -> Option<Place> {
        self.follower.mark()
    }

    /// Whether the follower may continue; used while nothing may be sent.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        self.follower.check()
    }

    /// The next item, if one is available now.
    pub(crate) async fn next(&mut self) -> Result<Option<RootItem>, EngineError> {
        loop {
            if let Some(item) = self.rest.pop_front() {
                return Ok(Some(item));
            }
            let Some(event) = self.follower.next().await? else {
                return Ok(None);
            };
            self.rest = items(event, &self.follower.place());
        }
    }
}

/// Converts an event to items.
fn items(event: RootEvent, place: &Place) -> VecDeque<RootItem> {
    let place = place.to_string().into();
    match event {
        RootEvent::State { namespaces, lost } => one(RootItem::State(wire::RootState {
            lost,
            namespaces: namespaces.into_iter().map(root).collect(),
            place,
        })),
        RootEvent::Moved {
            namespace,
            position,
            root,
            previous,
            time_ms,
            transactions,
            keys,
        } => {
            let whole = wire::Moved {
                snapshot: outgoing::snapshot(&namespace, position, root),
                namespace,
                position: outgoing::position(position),
                root: outgoing::text(root),
                previous: outgoing::text(previous),
                time_ms,
                transactions: transactions.iter().map(outgoing::transaction).collect(),
                changes: Vec::new(),
                last: true,
                place,
            };
            parts(whole, keys)
        }
        RootEvent::Created {
            namespace,
            owner,
            incarnation,
            time_ms,
        } => one(RootItem::Created(wire::Created {
            namespace,
            owner: owner.uid(),
            incarnation,
            time_ms,
            place,
        })),
        RootEvent::Reincarnated {
            namespace,
            incarnation,
            time_ms,
        } => one(RootItem::Reincarnated(wire::Reincarnated {
            namespace,
            incarnation,
            time_ms,
            place,
        })),
        RootEvent::OwnerChanged {
            namespace,
            owner,
            before,
            time_ms,
        } => one(RootItem::OwnerChanged(wire::OwnerChanged {
            namespace,
            owner: owner.uid(),
            before: before.uid(),
            time_ms,
            place,
        })),
        RootEvent::Removed { namespace, time_ms } => one(RootItem::Removed(wire::Removed {
            namespace,
            time_ms,
            place,
        })),
    }
}

fn one(item: RootItem) -> VecDeque<RootItem> {
    VecDeque::from([item])
}

/// Encodes a namespace and its root.
fn root(info: NamespaceInfo) -> wire::NamespaceRoot {
    wire::NamespaceRoot {
        namespace: info.name,
        owner: info.owner.uid(),
        position: outgoing::position(info.position),
        root: outgoing::text(info.root),
    }
}

/// Splits a move into parts that fit in a frame.
fn parts(whole: wire::Moved, keys: Vec<(Key, ChangeKind)>) -> VecDeque<RootItem> {
    let mut parts = VecDeque::new();
    let (mut part, mut bytes) = (whole.clone(), 0);
    for (key, kind) in keys {
        if bytes >= PART_BYTES || part.changes.len() as u64 >= PAGE_ENTRIES {
            let next = wire::Moved {
                transactions: Vec::new(),
                ..whole.clone()
            };
            let full = wire::Moved {
                last: false,
                ..std::mem::replace(&mut part, next)
            };
            parts.push_back(RootItem::Moved(full));
            bytes = 0;
        }
        bytes += key.as_str().len();
        let kind = outgoing::change_kind(kind);
        part.changes.push(wire::LogChange::new(key.as_str(), kind));
    }
    parts.push_back(RootItem::Moved(part));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvs_tree::{Blobref, HashAlgorithm};

    fn moved(keys: usize) -> VecDeque<RootItem> {
        let root = |bytes: &[u8]| Blobref::of(HashAlgorithm::Blake3, bytes);
        let key = |n| Key::parse(&format!("{}.{n}", "k".repeat(200))).unwrap();
        let event = RootEvent::Moved {
            namespace: "primary".into(),
            position: Position {
                incarnation: 1,
                version: 3,
            },
            root: root(b"new"),
            previous: root(b"old"),
            time_ms: 1,
            transactions: Vec::new(),
            keys: (0..keys).map(|n| (key(n), ChangeKind::Put)).collect(),
        };
        items(event, &"00000000000000ab-12-3".parse().unwrap())
    }

    #[test]
    fn a_move_is_told_in_parts_of_which_the_last_says_so() {
        assert_eq!((moved(0).len(), moved(1).len()), (1, 1));
        let parts = moved(5000);
        assert!(parts.len() > 2);
        let mut keys = 0;
        for (n, item) in parts.iter().enumerate() {
            let RootItem::Moved(part) = item else {
                panic!("{item:?}")
            };
            assert_eq!(part.last, n + 1 == parts.len());
            assert_eq!(part.place, "00000000000000ab-12-3");
            keys += part.changes.len();
        }
        assert_eq!(keys, 5000);
    }
}
