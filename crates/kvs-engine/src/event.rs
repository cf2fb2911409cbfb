//! Events: what a watch is told. Plain data, as the server hands it on.

use std::sync::OnceLock;

use bytes::Bytes;
use kvs_tree::{Blobref, Key};
use smol_str::SmolStr;

use crate::changes::{ChangeKind, KeyChange};
use crate::limits::EVENT_OVERHEAD_BYTES;
use crate::reference::Position;
use crate::request::NamespaceInfo;

/// Who made a version: one for each transaction that was merged into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionInfo {
    /// Who committed it.
    pub uid: u32,
    /// The client that sent it.
    pub client: [u8; 16],
    /// Its number among that client's transactions.
    pub number: u64,
    /// The name that the client gave it.
    pub name: Option<SmolStr>,
}

/// What a watch delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// A page of the state of the scope at a position, before any change.
    Initial {
        /// The state's position.
        position: Position,
        /// Its root.
        root: Blobref,
        /// When it was committed.
        time_ms: u64,
        /// What stands in the scope, or what differs there from the state that the watch had.
        entries: Vec<KeyChange>,
        /// After a gap: the entries are differences against the state at the gap's `from`, keys that
        /// are gone included. Otherwise whatever is not listed is not there.
        differences: bool,
        /// Nothing of the state follows; changes do.
        last: bool,
    },
    /// What one version changed in the scope, or a part of it.
    Changes {
        /// The version.
        position: Position,
        /// The root after it.
        root: Blobref,
        /// When it was committed.
        time_ms: u64,
        /// Who made it.
        transactions: Vec<TransactionInfo>,
        /// The changed keys, sorted.
        changes: Vec<KeyChange>,
        /// Versions of the scope that were passed over since the event before (mode `latest`).
        skipped: u64,
        /// Set where the changes were found behind a link into another namespace: that namespace's
        /// own position. `position` then is where the watch stands in its namespace.
        behind: Option<Behind>,
        /// Nothing of this version follows.
        last: bool,
    },
    /// Versions were lost to this watch: those after `from` up to `to`. The state at `to` follows
    /// as `Initial`.
    Gap {
        /// The last position that was delivered, or where the watch was to start.
        from: Position,
        /// Where it goes on.
        to: Position,
    },
}

/// A state of another namespace that a link leads into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The other namespace.
    pub namespace: SmolStr,
    /// Its newest position when the event was made; version 0 of incarnation 0 if it is not there.
    pub position: Position,
    /// Its root at that position; none if it is not there.
    pub root: Option<Blobref>,
}

/// What a [`Follower`](crate::Follower) delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootEvent {
    /// How things stand: at the start if asked for, and after events were lost.
    State {
        /// The namespaces that are followed, with their roots.
        namespaces: Vec<NamespaceInfo>,
        /// Events before this state were lost: the journal does not hold them any more.
        lost: bool,
    },
    /// A root moved.
    Moved {
        /// The namespace.
        namespace: SmolStr,
        /// The new version.
        position: Position,
        /// Its root.
        root: Blobref,
        /// The root before it.
        previous: Blobref,
        /// When it was committed, in milliseconds since the epoch.
        time_ms: u64,
        /// Who made it.
        transactions: Vec<TransactionInfo>,
        /// The keys that were written, in the order of the tree, and how. A copy counts as a put.
        keys: Vec<(Key, ChangeKind)>,
    },
    /// A namespace was made; it is empty, at version 0.
    Created {
        /// Its name.
        namespace: SmolStr,
        /// Who owns it.
        owner: u32,
        /// Its incarnation.
        incarnation: u64,
        /// When, in milliseconds since the epoch.
        time_ms: u64,
    },
    /// A namespace has another owner.
    OwnerChanged {
        /// Its name.
        namespace: SmolStr,
        /// Who owns it now.
        owner: u32,
        /// Who owned it before.
        before: u32,
        /// When, in milliseconds since the epoch.
        time_ms: u64,
    },
    /// A namespace was removed.
    Removed {
        /// Its name.
        namespace: SmolStr,
        /// When, in milliseconds since the epoch.
        time_ms: u64,
    },
    /// A namespace goes on under a new incarnation.
    Reincarnated {
        /// Its name.
        namespace: SmolStr,
        /// Its new incarnation.
        incarnation: u64,
        /// When, in milliseconds since the epoch.
        time_ms: u64,
    },
}

/// An event that all watches of equal scopes and options share, and its encoded form, made once.
#[derive(Debug)]
pub struct SharedEvent {
    event: WatchEvent,
    encoded: OnceLock<Bytes>,
    size: usize,
}

impl SharedEvent {
    pub(crate) fn new(event: WatchEvent) -> Self {
        let (WatchEvent::Initial { entries: all, .. } | WatchEvent::Changes { changes: all, .. }) =
            &event
        else {
            return Self {
                event,
                encoded: OnceLock::new(),
                size: EVENT_OVERHEAD_BYTES,
            };
        };
        let one = |change: &KeyChange| change.key.as_str().len() + change.size() + 16;
        let size = EVENT_OVERHEAD_BYTES + all.iter().map(one).sum::<usize>();
        Self {
            event,
            encoded: OnceLock::new(),
            size,
        }
    }

    /// The event.
    pub fn event(&self) -> &WatchEvent {
        &self.event
    }

    /// The event as `make` encodes it. `make` must depend on nothing but the event: whoever comes
    /// first encodes for all.
    pub fn encoded(&self, make: impl FnOnce(&WatchEvent) -> Bytes) -> &Bytes {
        self.encoded.get_or_init(|| make(&self.event))
    }

    /// About what it takes on the wire, in bytes: what credit is counted in.
    pub fn size(&self) -> usize {
        self.size
    }
}
