//! The requests and answers of the engine: plain data without behaviour. The wire has its own
//! types; the server translates.

use std::sync::Arc;

use kvs_tree::{Blobref, OperationResult, Scope, Transaction};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::error::EngineError;
use crate::pack::Staged;
use crate::place::Place;
use crate::reference::Position;
use crate::reference::SnapshotRef;

/// The identity of a caller. Determined once, when the server accepts a connection; nothing that a
/// client sends changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Principal {
    /// A local user, by the user id that the kernel reports for the peer.
    Uid(u32),
}

impl Principal {
    /// The user id.
    pub const fn uid(self) -> u32 {
        let Self::Uid(uid) = self;
        uid
    }
}

/// Stored as an integer, which is a user id. Text is for names, which a later format may have.
impl Serialize for Principal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self::Uid(uid) = self;
        serializer.serialize_u32(*uid)
    }
}

impl<'de> Deserialize<'de> for Principal {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u32::deserialize(deserializer).map(Self::Uid)
    }
}

/// Formats as "uid 1000", for messages and logs.
impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Uid(uid) = self;
        write!(f, "uid {uid}")
    }
}

/// The party whose quota and turns are charged. The instance owner and root are one tenant; every
/// other principal is a guest and a tenant of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tenant {
    /// The instance owner or root.
    Owner,
    /// Any other user.
    Guest(Principal),
}

impl Tenant {
    /// The tenant of a principal in a store owned by `instance_owner`.
    pub fn of(principal: Principal, instance_owner: u32) -> Self {
        let Principal::Uid(uid) = principal;
        if uid == instance_owner || uid == 0 {
            Self::Owner
        } else {
            Self::Guest(principal)
        }
    }

    /// Whether the tenant is a guest.
    pub fn is_guest(self) -> bool {
        self != Self::Owner
    }
}

/// Identifies one transaction of one client, so that it takes effect once, however often it is
/// sent. Scoped by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId {
    /// Chosen at random by the client library when it starts.
    pub client: [u8; 16],
    /// Rises with each transaction of the client.
    pub number: u64,
}

/// A transaction and everything that decides how it is committed.
#[derive(Clone, Debug)]
pub struct CommitRequest {
    /// The namespace to change.
    pub namespace: SmolStr,
    /// The principal that sent it.
    pub caller: Principal,
    /// The id under which it takes effect once.
    pub id: TransactionId,
    /// Every transaction of the client with a lower number was answered, so the engine drops its
    /// outcome.
    pub acknowledged: u64,
    /// Set if the transaction may have been sent before: the newest position of the namespace that
    /// the client knew when it first sent it.
    pub repeat: Option<Position>,
    /// A label, shown to watchers and in the log.
    pub name: Option<SmolStr>,
    /// Whether it must get a version of its own, not merged with other transactions.
    pub no_merge: bool,
    /// The conditions and operations.
    pub transaction: Transaction,
    /// The results of preparation; empty at first.
    pub prepared: Prepared,
}

/// The results of preparing a transaction: objects to be added to a pack, or the error to answer
/// with. Dropping it leaves nothing on disk.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    pub(crate) staged: Vec<Arc<Staged>>,
    pub(crate) refused: Option<Box<EngineError>>,
}

impl CommitRequest {
    /// Answers the transaction with `error`, unless it repeats one that took effect.
    pub fn refuse(&mut self, error: EngineError) {
        self.transaction.operations.clear();
        self.prepared.staged.clear();
        self.prepared.refused.get_or_insert_with(|| Box::new(error));
    }

    /// Whether it will be answered with an error.
    pub(crate) fn is_refused(&self) -> bool {
        self.prepared.refused.is_some()
    }

    /// Bytes to write when its objects are added to a pack.
    pub(crate) fn bytes_to_copy(&self) -> u64 {
        let staged = self.prepared.staged.iter();
        staged.map(|staged| staged.bytes_to_copy()).sum()
    }
}

/// The answer to a commit: the transaction is durable and visible to every later read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The position at which it took effect.
    pub position: Position,
    /// The root after it.
    pub root: Blobref,
    /// One result per operation.
    pub results: Vec<OperationResult>,
}

/// A pin: its snapshot stays readable until it is unpinned or its lease expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The pin's id, for `unpin`.
    pub id: u64,
    /// The pinned snapshot.
    pub snapshot: SnapshotRef,
    /// Who created the pin.
    pub principal: Principal,
    /// The term of the lease in milliseconds; `None`: until unpinned.
    pub lease_ms: Option<u64>,
}

/// A pin and the current state of its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinInfo {
    /// The pin's id, for `unpin`.
    pub id: u64,
    /// The pinned snapshot.
    pub snapshot: SnapshotRef,
    /// Who created the pin.
    pub principal: Principal,
    /// The term of the lease in milliseconds; `None`: until unpinned.
    pub lease_ms: Option<u64>,
    /// Milliseconds left of the lease; `None`: until unpinned. The lease restarts whenever the
    /// store is opened.
    pub left_ms: Option<u64>,
}

/// A namespace as reported by `namespace list` and `getroot`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceInfo {
    /// Its name.
    pub name: SmolStr,
    /// Its owner.
    pub owner: Principal,
    /// Reserved; 0.
    pub flags: u32,
    /// Its newest published position.
    pub position: Position,
    /// Its newest published root.
    pub root: Blobref,
    /// The users with whom it is shared. Reported to owners only.
    pub readers: Vec<Principal>,
}

/// Where a watch starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// After the newest published version.
    Now,
    /// At this version, which is delivered if it touched the scope. Without an incarnation: in the
    /// current one.
    Version {
        /// The incarnation that the version belongs to.
        incarnation: Option<u64>,
        /// The first version to deliver.
        version: u64,
    },
    /// With the current state of the scope, followed by every change.
    Initial,
}

/// Where a follower starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowStart {
    /// As a watch does. A version is allowed only when following one namespace.
    At(Start),
    /// After a place that a follower returned; with the state if the journal no longer holds what
    /// follows, or is another one.
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

/// Which versions that touched the scope a watch delivers, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Every version, however far the watch lags.
    #[default]
    Every,
    /// Only the newest state, with the number of versions skipped.
    Latest,
    /// The bytes appended to values. A value that was replaced or truncated is delivered whole.
    Append {
        /// Bytes of the value that the client already has; for a watch of one key.
        offset: u64,
    },
    /// Every version that changed the value.
    Unique,
}

/// What to watch, from where, and what to deliver.
#[derive(Clone, Debug)]
pub struct WatchRequest {
    /// The keys of interest; empty means every key.
    pub scopes: Vec<Scope>,
    /// Where to start.
    pub start: Start,
    /// Which versions are delivered.
    pub mode: Mode,
    /// Whether changes carry values.
    pub values: bool,
    /// Whether changes carry the previous value.
    pub previous: bool,
}

impl WatchRequest {
    /// Watches every version that touches `scopes`, with values and without previous ones.
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
