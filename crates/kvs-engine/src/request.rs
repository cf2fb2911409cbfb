//! What callers hand to the engine and get back: plain data, no behaviour. The wire has types of
//! its own; the server translates.

use std::sync::Arc;

use kvs_tree::{Blobref, OperationResult, Scope, Transaction};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::error::EngineError;
use crate::pack::Staged;
use crate::place::Place;
use crate::reference::Position;
use crate::reference::SnapshotRef;

/// Who asks. Decided once, at the door, when the server takes a byte stream; nothing that a client sends changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Principal {
    /// A user of this machine, by the user id that the kernel reports for the peer.
    Uid(u32),
}

impl Principal {
    /// The user id.
    pub const fn uid(self) -> u32 {
        let Self::Uid(uid) = self;
        uid
    }
}

/// As "uid 1000", for messages and logs.
impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Uid(uid) = self;
        write!(f, "uid {uid}")
    }
}

/// Whose quotas and turns work is charged to. The instance owner and root are one tenant; each guest, a
/// principal that is neither, is one by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tenant {
    /// The instance owner.
    Owner,
    /// A guest.
    Guest(Principal),
}

impl Tenant {
    /// The tenant that a principal is at a store of this instance owner.
    pub fn of(principal: Principal, instance_owner: u32) -> Self {
        let Principal::Uid(uid) = principal;
        if uid == instance_owner || uid == 0 {
            Self::Owner
        } else {
            Self::Guest(principal)
        }
    }

    /// Whether it is a guest.
    pub fn is_guest(self) -> bool {
        self != Self::Owner
    }
}

/// Names one transaction of one client for ever, so that it takes effect once however often it is
/// sent. Scoped by the caller's uid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId {
    /// Random, chosen by the client library when it starts.
    pub client: [u8; 16],
    /// Rises with each transaction of that client.
    pub number: u64,
}

/// One transaction with everything that decides how it is committed.
#[derive(Clone, Debug)]
pub struct CommitRequest {
    /// The namespace to change.
    pub namespace: SmolStr,
    /// Who asks.
    pub caller: Principal,
    /// Its name for exactly-once.
    pub id: TransactionId,
    /// Every transaction of this client with a lower number was answered; the engine forgets those.
    pub acknowledged: u64,
    /// Set when it may have been sent before: the newest position of the namespace that the client
    /// knew when it first sent it.
    pub repeat: Option<Position>,
    /// Shown to watchers and in the log.
    pub name: Option<SmolStr>,
    /// Never join another transaction's version.
    pub no_merge: bool,
    /// What to do.
    pub transaction: Transaction,
    /// What was prepared for it; nothing at first.
    pub prepared: Prepared,
}

/// What was prepared for a transaction before it is judged: objects that wait for a pack, or why it
/// cannot be carried out. Dropped, it leaves nothing.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    pub(crate) staged: Vec<Arc<Staged>>,
    pub(crate) refused: Option<Box<EngineError>>,
}

impl CommitRequest {
    /// Has the transaction answered with this error, unless it is a repeat of one that took effect.
    pub fn refuse(&mut self, error: EngineError) {
        self.transaction.operations.clear();
        self.prepared.staged.clear();
        self.prepared.refused.get_or_insert_with(|| Box::new(error));
    }

    /// Whether it will be answered with an error.
    pub(crate) fn is_refused(&self) -> bool {
        self.prepared.refused.is_some()
    }

    /// Bytes that joining its objects to a pack will write.
    pub(crate) fn bytes_to_copy(&self) -> u64 {
        let staged = self.prepared.staged.iter();
        staged.map(|staged| staged.bytes_to_copy()).sum()
    }
}

/// The answer to a commit: durable, and visible to every later read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Where it took effect.
    pub position: Position,
    /// The root after it.
    pub root: Blobref,
    /// One result an operation.
    pub results: Vec<OperationResult>,
}

/// A pin: a promise that a snapshot stays readable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Names the pin, for `unpin`.
    pub id: u64,
    /// What stays readable.
    pub snapshot: SnapshotRef,
    /// Who pinned it.
    pub uid: u32,
    /// The term of its lease, in milliseconds; `None`: until unpinned.
    pub lease_ms: Option<u64>,
}

/// A pin as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinInfo {
    /// Names the pin, for `unpin`.
    pub id: u64,
    /// What stays readable.
    pub snapshot: SnapshotRef,
    /// Who pinned it.
    pub uid: u32,
    /// The term of its lease, in milliseconds; `None`: until unpinned.
    pub lease_ms: Option<u64>,
    /// How many milliseconds of its lease are left; `None`: until unpinned. Every start of the
    /// store begins the lease anew.
    pub left_ms: Option<u64>,
}

/// What `namespace list` and `getroot` tell of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceInfo {
    /// Its name.
    pub name: SmolStr,
    /// The uid that owns it.
    pub owner: u32,
    /// Reserved; 0.
    pub flags: u32,
    /// Its newest published position.
    pub position: Position,
    /// Its newest published root.
    pub root: Blobref,
    /// The users who may read it although they do not own it; told to owners only.
    pub readers: Vec<u32>,
}

/// Where a watch starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// After the newest published version.
    Now,
    /// With this version, if it touched the scope. Without an incarnation: the current one.
    Version {
        /// Which life of the namespace the version belongs to.
        incarnation: Option<u64>,
        /// The first version of interest.
        version: u64,
    },
    /// With the state of the scope, then every change after it.
    Initial,
}

/// Where following roots starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowStart {
    /// As a watch does. A version is for one namespace.
    At(Start),
    /// Right behind a place that a follower has told. If the journal does not hold what comes then, or
    /// is another one by now, with the state.
    Behind(Place),
}

impl From<Start> for FollowStart {
    fn from(start: Start) -> Self {
        Self::At(start)
    }
}

impl From<Place> for FollowStart {
    fn from(place: Place) -> Self {
        Self::Behind(place)
    }
}

/// Which of the versions that touched the scope a watch is told, and what of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Each of them, whatever the lag.
    #[default]
    Every,
    /// The newest state alone, with the number of versions that were passed over.
    Latest,
    /// The bytes that values grew by. A value that was replaced or cut is told as a whole.
    Append {
        /// How many bytes of the value the client has already; for a watch of one key.
        offset: u64,
    },
    /// Each that left another value than there was before it.
    Unique,
}

/// What to watch, from where, and what to tell of it.
#[derive(Clone, Debug)]
pub struct WatchRequest {
    /// The keys of interest; none means every key.
    pub scopes: Vec<Scope>,
    /// Where to start.
    pub start: Start,
    /// Which versions are told.
    pub mode: Mode,
    /// Whether values travel with their keys.
    pub values: bool,
    /// Whether each change carries what stood at its key before.
    pub previous: bool,
}

impl WatchRequest {
    /// Every version that touches `scopes`, with values, without previous ones.
    pub fn new(scopes: Vec<Scope>, start: Start) -> Self {
        Self {
            scopes,
            start,
            mode: Mode::Every,
            values: true,
            previous: false,
        }
    }
}
