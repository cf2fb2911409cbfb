//! Watches: one request, then a stream of items under credit.
//!
//! `credit` and `cancel` bear the id of the watch that they are about and have no answer of their own; a cancelled
//! watch ends with the watch's final answer, or with the error that ended it before.

use crate::payload;
use crate::position::Position;
use crate::read::Link;
use crate::scope::Scope;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Where a watch begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// With the first version after the newest one.
    #[default]
    Now,
    /// With the state of the newest version, then all versions after it.
    Initial,
    /// With that version, inclusive; if it is not retained any more the first item is a gap.
    Version {
        /// The version.
        version: u64,
        /// Its incarnation; if the namespace has another one now, the first item is a gap. Absent: the current.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        incarnation: Option<u64>,
    },
}

/// Opens a watch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The namespace.
    pub namespace: SmolStr,
    /// Keys to watch; none is all of them.
    #[serde(default)]
    pub scopes: Vec<Scope>,
    /// Where to begin.
    #[serde(default)]
    pub start: Start,
    /// How many items the daemon may send before it gets more by `credit`.
    pub credit: u64,
    /// Values longer than this many bytes come as size and blobref. Absent: the daemon's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline_max: Option<u64>,
}

/// Gives a stream more credit. Sent under the stream's id; ignored when the stream has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// Items to add.
    pub add: u64,
}

/// One item of a watch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchItem {
    /// Always the first item: the watch stands, from here on. Costs no credit.
    Started(Started),
    /// A page of the initial state. Costs one credit.
    Initial(Initial),
    /// The changes of one version inside the scopes, or a part of them. Costs one credit.
    Changes(Changes),
    /// Versions that are not retained any more were not delivered. Costs one credit.
    Gap(Gap),
    /// No version up to this position that was not delivered touched the scopes; sent as the daemon likes. Costs no credit.
    Mark(Started),
}

/// A position of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Everything after this position will be delivered. With `initial`, the position of the state that follows.
    pub position: Position,
}

/// A page of the state of the scopes when the watch began. An empty state is one page with no entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Initial {
    /// The position of the state; the same for all pages.
    pub position: Position,
    /// The root, as a blobref.
    pub root: SmolStr,
    /// A reference to the state.
    pub snapshot: SmolStr,
    /// When that version was made, in milliseconds since 1970.
    #[serde(default)]
    pub time_ms: u64,
    /// The keys of this page, as if each had just been put.
    #[serde(default)]
    pub entries: Vec<Change>,
    /// Whether this is the last page.
    pub last: bool,
}

/// Changes of one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The position of the version.
    pub position: Position,
    /// Its root, as a blobref.
    pub root: SmolStr,
    /// A reference to its state, for reading other keys of it.
    pub snapshot: SmolStr,
    /// When it was made, in milliseconds since 1970. Never decreases.
    #[serde(default)]
    pub time_ms: u64,
    /// The transactions that it holds, in order. Only in the first part.
    #[serde(default)]
    pub transactions: Vec<TransactionInfo>,
    /// What changed inside the scopes.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// Whether this is the last part of the version.
    pub last: bool,
}

/// Who committed something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionInfo {
    /// User id.
    pub uid: u32,
    /// Client id, 16 bytes.
    #[serde(with = "payload")]
    pub client: Bytes,
    /// The client's number for the transaction.
    pub number: u64,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<SmolStr>,
}

/// What happened to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It has a value now.
    Put,
    /// Bytes were added to its value; the change carries these alone.
    Append,
    /// It was removed.
    Unlink,
    /// It is a directory now.
    Mkdir,
    /// It is a symbolic link now.
    Link,
}

impl ChangeKind {
    /// The name on the wire and in output: `put append unlink mkdir link`.
    pub fn name(self) -> &'static str {
        match self {
            ChangeKind::Put => "put",
            ChangeKind::Append => "append",
            ChangeKind::Unlink => "unlink",
            ChangeKind::Mkdir => "mkdir",
            ChangeKind::Link => "link",
        }
    }
}

/// The new content of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeValue {
    /// Nothing: an unlink or mkdir.
    #[default]
    None,
    /// The value, or for an append the bytes that were added.
    Bytes(#[serde(with = "payload")] Bytes),
    /// A value too long for the stream: read it at the item's snapshot.
    Large {
        /// Its length in bytes.
        size: u64,
        /// Its blobref.
        blobref: SmolStr,
    },
    /// A symbolic link.
    Link(Link),
}

impl ChangeValue {
    fn is_none(&self) -> bool {
        *self == ChangeValue::None
    }
}

/// One changed key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The key.
    pub key: SmolStr,
    /// What happened.
    pub kind: ChangeKind,
    /// Its new content.
    #[serde(default, skip_serializing_if = "ChangeValue::is_none")]
    pub value: ChangeValue,
}

/// A hole in what a watch could deliver; changes after `to` follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The watch had everything up to here (or was asked to begin right after it).
    pub from: Position,
    /// It goes on after this position.
    pub to: Position,
    /// A reference to the state at `to`, for reading what was missed.
    #[serde(default)]
    pub snapshot: SmolStr,
}
