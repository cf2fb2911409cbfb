//! Root moves, and the creation and removal of namespaces, as a stream of items under credit.
//!
//! For followers, caches and debuggers: no values, but which root replaced which, and why. `credit`
//! and `cancel` work as for a watch.

use crate::log::LogChange;
use crate::position::Position;
use crate::watch::{Start, TransactionInfo};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Opens a stream of root moves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRoot {
    /// The namespace. Absent: all that the caller may read, including ones created later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<SmolStr>,
    /// Where to start: with the next move, with the current state, or, for one namespace, with a
    /// version.
    #[serde(default)]
    pub start: Start,
    /// The resume token of an item, from any connection: start right after that item instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<SmolStr>,
    /// How many items the daemon may send before it needs more `credit`.
    pub credit: u64,
    /// How many bytes of items the daemon may send. Absent: no limit by bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit_bytes: Option<u64>,
}

/// An item of a stream of root moves. Each costs one credit, except the first and marks.
///
/// Each carries an opaque resume token: a client that has processed the item can continue right
/// after it later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RootItem {
    /// Always the first item.
    Started(RootStarted),
    /// The current state: at the start if requested, and after moves that could not be delivered.
    State(RootState),
    /// A root moved. Large moves come in several parts.
    Moved(Moved),
    /// A namespace was created. It is empty, at version 0.
    Created(Created),
    /// A namespace continues under a new incarnation.
    Reincarnated(Reincarnated),
    /// A namespace was transferred to another owner.
    OwnerChanged(OwnerChanged),
    /// A namespace was removed.
    Removed(Removed),
    /// A bookmark.
    Mark(RootMark),
}

/// The start of a stream of root moves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootStarted {
    /// For one namespace without a resume token: everything after this position will be delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Everything after this token will be delivered. Absent if the stream starts with the current
    /// state or with a version: then the first item carries the first token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<SmolStr>,
}

/// How far a stream of root moves is, sent while there is nothing else to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootMark {
    /// Everything before this token was delivered.
    pub place: SmolStr,
    /// Whether it answers a `mark` request.
    #[serde(default)]
    pub requested: bool,
}

/// The current state of the followed namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootState {
    /// Whether earlier moves were not delivered because they are no longer retained.
    #[serde(default)]
    pub lost: bool,
    /// The followed namespaces, sorted by name.
    pub namespaces: Vec<NamespaceRoot>,
    /// The token to resume after it.
    pub place: SmolStr,
}

/// A namespace and its current root.
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

/// A root move, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The namespace.
    pub namespace: SmolStr,
    /// The position of the new version.
    pub position: Position,
    /// The new root, as a blobref.
    pub root: SmolStr,
    /// The previous root.
    pub previous: SmolStr,
    /// A reference to the new state.
    pub snapshot: SmolStr,
    /// When this version was created, in milliseconds since 1970.
    #[serde(default)]
    pub time_ms: u64,
    /// The transactions in this version, in order. Only in the first part.
    #[serde(default)]
    pub transactions: Vec<TransactionInfo>,
    /// The keys that the version touched.
    #[serde(default)]
    pub changes: Vec<LogChange>,
    /// Whether this is the last part.
    pub last: bool,
    /// The token to resume after the last part.
    pub place: SmolStr,
}

/// A namespace was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// Its name.
    pub namespace: SmolStr,
    /// User id of its owner.
    #[serde(default)]
    pub owner: u32,
    /// Its incarnation.
    pub incarnation: u64,
    /// When it was created, in milliseconds since 1970.
    #[serde(default)]
    pub time_ms: u64,
    /// The token to resume after it.
    pub place: SmolStr,
}

/// A namespace continues under a new incarnation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reincarnated {
    /// Its name.
    pub namespace: SmolStr,
    /// Its new incarnation.
    pub incarnation: u64,
    /// When this happened, in milliseconds since 1970.
    #[serde(default)]
    pub time_ms: u64,
    /// The token to resume after it.
    pub place: SmolStr,
}

/// A namespace was transferred to another owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerChanged {
    /// Its name.
    pub namespace: SmolStr,
    /// User id of the new owner.
    pub owner: u32,
    /// User id of the previous owner.
    pub before: u32,
    /// When this happened, in milliseconds since 1970.
    #[serde(default)]
    pub time_ms: u64,
    /// The token to resume after it.
    pub place: SmolStr,
}

/// A namespace was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Its name.
    pub namespace: SmolStr,
    /// When this happened, in milliseconds since 1970.
    #[serde(default)]
    pub time_ms: u64,
    /// The token to resume after it.
    pub place: SmolStr,
}
