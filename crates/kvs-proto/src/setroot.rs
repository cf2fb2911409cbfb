//! Root moves and the coming and going of namespaces, as a stream of items under credit.
//!
//! What a follower, a cache or a debugger needs: not the values, but which root replaced which, and
//! why. `credit` and `cancel` work as for a watch.

use crate::log::LogChange;
use crate::position::Position;
use crate::watch::{Start, TransactionInfo};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Opens a stream of root moves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRoot {
    /// The namespace. Absent: all that the caller may read, those made later included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<SmolStr>,
    /// Where to begin: with the next move, with how things stand, or, for one namespace, with a
    /// version.
    #[serde(default)]
    pub start: Start,
    /// Begins right behind an item that had this place instead, on whatever connection it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<SmolStr>,
    /// How many items the daemon may send before it gets more by `credit`.
    pub credit: u64,
    /// How many bytes of items. Absent: no limit by bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit_bytes: Option<u64>,
}

/// One item of a stream of root moves. All but the first, and marks, cost one credit.
///
/// Each names its place: whoever has taken it can go on right behind it later. What stands in a
/// place is the daemon's business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RootItem {
    /// Always the first item.
    Started(RootStarted),
    /// How things stand: at the start if asked for, and after moves that could not be delivered.
    State(RootState),
    /// A root moved, or a part of what that touched.
    Moved(Moved),
    /// A namespace was made. It is empty, at version 0.
    Created(Created),
    /// A namespace goes on under a new incarnation.
    Reincarnated(Reincarnated),
    /// A namespace has another owner.
    OwnerChanged(OwnerChanged),
    /// A namespace was removed.
    Removed(Removed),
    /// A bookmark.
    Mark(RootMark),
}

/// Where a stream of root moves stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootStarted {
    /// Of one namespace that is not followed on from a place: everything after this position will
    /// be delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Everything behind this place will be delivered. Absent if it starts with how things stand,
    /// or with a version: then there is none before the first item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<SmolStr>,
}

/// Where a stream of root moves is, though there was nothing to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootMark {
    /// Everything before this place was delivered.
    pub place: SmolStr,
    /// Whether it was asked for.
    #[serde(default)]
    pub requested: bool,
}

/// How things stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootState {
    /// Whether moves before this were not delivered, as they are not retained any more.
    #[serde(default)]
    pub lost: bool,
    /// The namespaces that are followed, by name.
    pub namespaces: Vec<NamespaceRoot>,
    /// The place behind it.
    pub place: SmolStr,
}

/// A namespace and its root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceRoot {
    /// Its name.
    pub namespace: SmolStr,
    /// User id of its owner.
    #[serde(default)]
    pub owner: u32,
    /// Its newest position.
    pub position: Position,
    /// Its root, as a blobref.
    pub root: SmolStr,
}

/// A root that moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// When it was made, in milliseconds since 1970.
    #[serde(default)]
    pub time_ms: u64,
    /// The transactions that it holds, in order. Only in the first part.
    #[serde(default)]
    pub transactions: Vec<TransactionInfo>,
    /// The keys that were touched.
    #[serde(default)]
    pub changes: Vec<LogChange>,
    /// Whether this is the last part.
    pub last: bool,
    /// The place behind the last part.
    pub place: SmolStr,
}

/// A namespace that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// Its name.
    pub namespace: SmolStr,
    /// User id of its owner.
    #[serde(default)]
    pub owner: u32,
    /// Its incarnation.
    pub incarnation: u64,
    /// When, in milliseconds since 1970.
    #[serde(default)]
    pub time_ms: u64,
    /// The place behind it.
    pub place: SmolStr,
}

/// A namespace that goes on under a new incarnation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reincarnated {
    /// Its name.
    pub namespace: SmolStr,
    /// Its new incarnation.
    pub incarnation: u64,
    /// When, in milliseconds since 1970.
    #[serde(default)]
    pub time_ms: u64,
    /// The place behind it.
    pub place: SmolStr,
}

/// A namespace that has another owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerChanged {
    /// Its name.
    pub namespace: SmolStr,
    /// User id of its owner.
    pub owner: u32,
    /// User id of who owned it before.
    pub before: u32,
    /// When, in milliseconds since 1970.
    #[serde(default)]
    pub time_ms: u64,
    /// The place behind it.
    pub place: SmolStr,
}

/// A namespace that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Its name.
    pub namespace: SmolStr,
    /// When, in milliseconds since 1970.
    #[serde(default)]
    pub time_ms: u64,
    /// The place behind it.
    pub place: SmolStr,
}
