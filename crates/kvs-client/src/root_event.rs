//! What a stream of root moves tells.

use crate::time::wall_time;
use kvs_proto as wire;
use kvs_proto::{LogChange, Position, TransactionInfo};
use smol_str::SmolStr;
use std::time::SystemTime;

/// One event about the root of a namespace, in the order in which they happened. Each names its
/// `place`, from which a later stream can go on
/// ([`FollowOptions::behind`](crate::FollowOptions::behind)).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RootEvent {
    /// How things stand: at the start if asked for. With `lost`, events before it could not be
    /// delivered: they are not retained any more, or the daemon has another store now, or lost the
    /// end of this one in a weaker durability mode.
    State(RootState),
    /// A root moved: which replaced which, by whom, and the keys it touched. `last` is false only
    /// if it touched too many to be handed out whole: more of them follow.
    Moved(Moved),
    /// A namespace was made.
    Created(Created),
    /// A namespace goes on under a new incarnation.
    Reincarnated(Reincarnated),
    /// A namespace has another owner. If that is another user than this one, it may be the last
    /// that is told of the namespace.
    OwnerChanged(OwnerChanged),
    /// A namespace was removed.
    Removed(Removed),
    /// The connection was lost between two parts of a move too large to be handed out whole: forget
    /// its parts, they come again from the first. The place is that behind the event before the
    /// move.
    Restart(SmolStr),
}

impl RootEvent {
    /// The place behind it. Of a part of a move it is one to go on from only if it is the last.
    pub fn place(&self) -> &SmolStr {
        match self {
            RootEvent::State(state) => &state.place,
            RootEvent::Moved(moved) => &moved.place,
            RootEvent::Created(made) => &made.place,
            RootEvent::Reincarnated(anew) => &anew.place,
            RootEvent::OwnerChanged(changed) => &changed.place,
            RootEvent::Removed(gone) => &gone.place,
            RootEvent::Restart(place) => place,
        }
    }

    /// Whether a stream can go on behind it.
    pub(crate) fn completes(&self) -> bool {
        match self {
            RootEvent::Moved(moved) => moved.last,
            RootEvent::Restart(_) => false,
            _ => true,
        }
    }
}

/// Where a stream of root moves began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RootStarted {
    /// Of one namespace that is not followed on from a place: everything after this position is
    /// delivered.
    pub position: Option<Position>,
    /// Everything behind this place is delivered. `None` if the stream begins with how things
    /// stand, or with a version.
    pub place: Option<SmolStr>,
}

impl From<wire::RootStarted> for RootStarted {
    fn from(event: wire::RootStarted) -> Self {
        let wire::RootStarted { position, place } = event;
        RootStarted { position, place }
    }
}

/// How things stand.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RootState {
    /// Whether moves before this were not delivered, as they are not retained any more.
    pub lost: bool,
    /// The namespaces that are followed, by name.
    pub namespaces: Vec<NamespaceRoot>,
    /// The place behind it.
    pub place: SmolStr,
}

impl From<wire::RootState> for RootState {
    fn from(event: wire::RootState) -> Self {
        let wire::RootState {
            lost,
            namespaces,
            place,
        } = event;
        RootState {
            lost,
            namespaces: namespaces.into_iter().map(Into::into).collect(),
            place,
        }
    }
}

/// A namespace and its root.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamespaceRoot {
    /// Its name.
    pub namespace: SmolStr,
    /// User id of its owner.
    pub owner: u32,
    /// Its newest position.
    pub position: Position,
    /// Its root, as a blobref.
    pub root: SmolStr,
}

impl From<wire::NamespaceRoot> for NamespaceRoot {
    fn from(event: wire::NamespaceRoot) -> Self {
        let wire::NamespaceRoot {
            namespace,
            owner,
            position,
            root,
        } = event;
        NamespaceRoot {
            namespace,
            owner,
            position,
            root,
        }
    }
}

/// A root that moved.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moved {
    /// The namespace.
    pub namespace: SmolStr,
    /// The position of the new version.
    pub position: Position,
    /// The new root, as a blobref.
    pub root: SmolStr,
    /// The root before.
    pub previous: SmolStr,
    /// A reference to the new state.
    pub snapshot: SmolStr,
    /// When it was made.
    pub time: SystemTime,
    /// The transactions that it holds, in order.
    pub transactions: Vec<TransactionInfo>,
    /// The keys that were touched.
    pub changes: Vec<LogChange>,
    /// Whether this is the last part; a stream hands out whole moves only.
    pub last: bool,
    /// The place behind it.
    pub place: SmolStr,
}

impl From<wire::Moved> for Moved {
    fn from(event: wire::Moved) -> Self {
        let wire::Moved {
            namespace,
            position,
            root,
            previous,
            snapshot,
            time_ms,
            transactions,
            changes,
            last,
            place,
        } = event;
        Moved {
            namespace,
            position,
            root,
            previous,
            snapshot,
            time: wall_time(time_ms),
            transactions,
            changes,
            last,
            place,
        }
    }
}

/// A namespace that was made. It is empty, at version 0.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Created {
    /// Its name.
    pub namespace: SmolStr,
    /// User id of its owner.
    pub owner: u32,
    /// Its incarnation.
    pub incarnation: u64,
    /// When it was made.
    pub time: SystemTime,
    /// The place behind it.
    pub place: SmolStr,
}

impl From<wire::Created> for Created {
    fn from(event: wire::Created) -> Self {
        let wire::Created {
            namespace,
            owner,
            incarnation,
            time_ms,
            place,
        } = event;
        Created {
            namespace,
            owner,
            incarnation,
            time: wall_time(time_ms),
            place,
        }
    }
}

/// A namespace that goes on under a new incarnation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reincarnated {
    /// Its name.
    pub namespace: SmolStr,
    /// Its new incarnation.
    pub incarnation: u64,
    /// When that began.
    pub time: SystemTime,
    /// The place behind it.
    pub place: SmolStr,
}

impl From<wire::Reincarnated> for Reincarnated {
    fn from(event: wire::Reincarnated) -> Self {
        let wire::Reincarnated {
            namespace,
            incarnation,
            time_ms,
            place,
        } = event;
        Reincarnated {
            namespace,
            incarnation,
            time: wall_time(time_ms),
            place,
        }
    }
}

/// A namespace that has another owner.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnerChanged {
    /// Its name.
    pub namespace: SmolStr,
    /// User id of its owner.
    pub owner: u32,
    /// User id of who owned it before.
    pub before: u32,
    /// When that changed.
    pub time: SystemTime,
    /// The place behind it.
    pub place: SmolStr,
}

impl From<wire::OwnerChanged> for OwnerChanged {
    fn from(event: wire::OwnerChanged) -> Self {
        let wire::OwnerChanged {
            namespace,
            owner,
            before,
            time_ms,
            place,
        } = event;
        OwnerChanged {
            namespace,
            owner,
            before,
            time: wall_time(time_ms),
            place,
        }
    }
}

/// A namespace that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removed {
    /// Its name.
    pub namespace: SmolStr,
    /// When it was removed.
    pub time: SystemTime,
    /// The place behind it.
    pub place: SmolStr,
}

impl From<wire::Removed> for Removed {
    fn from(event: wire::Removed) -> Self {
        let wire::Removed {
            namespace,
            time_ms,
            place,
        } = event;
        Removed {
            namespace,
            time: wall_time(time_ms),
            place,
        }
    }
}
