//! Events that watches and followers deliver. Plain data; the server encodes it.

use std::sync::OnceLock;

use bytes::Bytes;
use kvs_tree::{Blobref, Key};
use smol_str::SmolStr;

use crate::changes::{ChangeKind, KeyChange};
use crate::limits::EVENT_OVERHEAD_BYTES;
use crate::reference::Position;
use crate::request::{NamespaceInfo, Principal};

/// The origin of a version: one for each transaction that was merged into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionInfo {
    /// Who committed it.
    pub principal: Principal,
    /// The client that sent it.
    pub client: [u8; 16],
    /// Its number among that client's transactions.
    pub number: u64,
    /// The label that the client gave it.
    pub name: Option<SmolStr>,
}

/// An event of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// A page of the scope's state at a position, before any change.
    Initial {
        /// The position of the state.
        position: Position,
        /// The root of the state.
        root: Blobref,
        /// When it was committed, in milliseconds since the epoch.
        time_ms: u64,
        /// The entries in the scope, or their differences from the state that the watch had.
        entries: Vec<KeyChange>,
        /// Whether the entries are differences from the state at the gap's `from`, including
        /// removed keys, or from the bytes before the offset of mode `append`. Otherwise a key that
        /// is not listed does not exist.
        differences: bool,
        /// Whether this is the last page; changes follow.
        last: bool,
    },
    /// The changes of one version in the scope, or a part of them.
    Changes {
        /// The position of the version.
        position: Position,
        /// The root after the version.
        root: Blobref,
        /// When it was committed, in milliseconds since the epoch.
        time_ms: u64,
        /// The transactions merged into the version.
        transactions: Vec<TransactionInfo>,
        /// The changed keys, sorted.
        changes: Vec<KeyChange>,
        /// Versions of the scope skipped since the previous event (mode `latest`).
        skipped: u64,
        /// Set if the changes are from another namespace, reached through a link: that namespace's
        /// state. `position` is then the watch's position in its own namespace.
        behind: Option<Behind>,
        /// Whether this is the last part of the version.
        last: bool,
    },
    /// Versions after `from`, up to `to`, are no longer retained. The state at `to` follows as
    /// `Initial`.
    Gap {
        /// The last position delivered, or where the watch was to start.
        from: Position,
        /// The position of the state that follows.
        to: Position,
    },
}

/// The state of another namespace that a link leads into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The other namespace.
    pub namespace: SmolStr,
    /// Its newest position when the event was built; version 0 of incarnation 0 if it does not
    /// exist.
    pub position: Position,
    /// Its root at that position; `None` if it does not exist.
    pub root: Option<Blobref>,
}

/// An event of a [`Follower`](crate::Follower).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootEvent {
    /// The current state: at the start if requested, and after events were lost.
    State {
        /// The followed namespaces, with their roots.
        namespaces: Vec<NamespaceInfo>,
        /// Whether events before this state were lost: the journal no longer holds them.
        lost: bool,
    },
    /// A root moved.
    Moved {
        /// The namespace.
        namespace: SmolStr,
        /// The new position.
        position: Position,
        /// The new root.
        root: Blobref,
        /// The previous root.
        previous: Blobref,
        /// When it was committed, in milliseconds since the epoch.
        time_ms: u64,
        /// The transactions merged into the version.
        transactions: Vec<TransactionInfo>,
        /// The keys written, in tree order, and how. A copy counts as a put.
        keys: Vec<(Key, ChangeKind)>,
    },
    /// A namespace was created. It is empty, at version 0.
    Created {
        /// The namespace's name.
        namespace: SmolStr,
        /// Its owner.
        owner: Principal,
        /// Its incarnation.
        incarnation: u64,
        /// When, in milliseconds since the epoch.
        time_ms: u64,
    },
    /// A namespace was given to another owner.
    OwnerChanged {
        /// The namespace's name.
        namespace: SmolStr,
        /// The new owner.
        owner: Principal,
        /// The previous owner.
        before: Principal,
        /// When, in milliseconds since the epoch.
        time_ms: u64,
    },
    /// A namespace was removed.
    Removed {
        /// The namespace's name.
        namespace: SmolStr,
        /// When, in milliseconds since the epoch.
        time_ms: u64,
    },
    /// A namespace continues under a new incarnation.
    Reincarnated {
        /// The namespace's name.
        namespace: SmolStr,
        /// The new incarnation.
        incarnation: u64,
        /// When, in milliseconds since the epoch.
        time_ms: u64,
    },
}

/// An event shared by all watches with equal scopes and options. It is encoded once.
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

    /// The event before encoding.
    pub fn event(&self) -> &WatchEvent {
        &self.event
    }

    /// The encoded event; `make` is called only once. It must depend on nothing but the event,
    /// since all watches share the result.
    pub fn encoded(&self, make: impl FnOnce(&WatchEvent) -> Bytes) -> &Bytes {
        self.encoded.get_or_init(|| make(&self.event))
    }

    /// Approximate size on the wire in bytes, as counted against credit.
    pub fn size(&self) -> usize {
        self.size
    }
}
