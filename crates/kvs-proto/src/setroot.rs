//! Root moves and the coming and going of namespaces, as a stream of items under credit.
//!
//! What a follower, a cache or a debugger needs: not the values, but which root replaced which, and why. `credit`, `mark` and
//! `cancel` work as for a watch.

use crate::log::LogChange;
use crate::position::Position;
use crate::watch::{Mark, TransactionInfo};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Where a stream of root moves begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetRootStart {
    /// With the next move.
    #[default]
    Now,
    /// With the move to that version, inclusive. For one namespace.
    Version {
        /// The version.
        version: u64,
        /// Its incarnation; with another one now the first item is a gap. Absent: the current.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        incarnation: Option<u64>,
    },
    /// Behind the item that bore this cursor.
    Cursor(u64),
}

/// Opens a stream of root moves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRoot {
    /// The namespace. Absent: all that the caller may read, those made later included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<SmolStr>,
    /// Where to begin.
    #[serde(default)]
    pub start: SetRootStart,
    /// How many items the daemon may send before it gets more by `credit`.
    pub credit: u64,
    /// How many bytes of items. Absent: no limit by bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit_bytes: Option<u64>,
}

/// One item of a stream of root moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RootItem {
    /// Always the first item. Costs no credit.
    Started(RootStarted),
    /// A root moved, or a part of what that touched. Costs one credit.
    Moved(Moved),
    /// A namespace was made, or got a new incarnation. Costs one credit.
    Created(Created),
    /// A namespace got another owner. Costs one credit.
    Owner(OwnerChanged),
    /// A namespace was removed. Costs one credit; the stream of one namespace goes on, the namespace may come back.
    Removed(Removed),
    /// Moves that are not retained any more were not delivered. Costs one credit.
    Gap(RootGap),
    /// A bookmark, for the stream of one namespace. Costs no credit.
    Mark(Mark),
}

/// Where a stream of root moves stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootStarted {
    /// Of one namespace: everything after this position will be delivered. Absent for all, and if there is no such namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Everything behind this cursor will be delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<u64>,
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
    /// Resume behind this item with it; absent where that is not possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<u64>,
}

/// A namespace that was made, or restored under a new incarnation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// Its name.
    pub namespace: SmolStr,
    /// User id of its owner.
    #[serde(default)]
    pub owner: u32,
    /// Its first position.
    pub position: Position,
    /// When, in milliseconds since 1970.
    #[serde(default)]
    pub time_ms: u64,
    /// As in `Moved`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<u64>,
}

/// A namespace that has another owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerChanged {
    /// Its name.
    pub namespace: SmolStr,
    /// User id of the new owner.
    pub owner: u32,
    /// When, in milliseconds since 1970.
    #[serde(default)]
    pub time_ms: u64,
    /// As in `Moved`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<u64>,
}

/// A namespace that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Its name.
    pub namespace: SmolStr,
    /// When, in milliseconds since 1970.
    #[serde(default)]
    pub time_ms: u64,
    /// As in `Moved`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<u64>,
}

/// A hole in a stream of root moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootGap {
    /// The namespace. Absent: any may have moved unseen, been made or removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<SmolStr>,
    /// The stream had everything up to here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Position>,
    /// It goes on after this position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Position>,
    /// As in `Moved`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<u64>,
}
