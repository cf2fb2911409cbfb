//! Watches: one request, then a stream of items under credit.
//!
//! `credit`, `mark` and `cancel` bear the id of the watch that they are about and have no answer of
//! their own; a cancelled watch ends with the watch's final answer, or with the error that ended it
//! before.

use crate::entry::Link;
use crate::payload;
use crate::position::Position;
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
        /// Its incarnation; if the namespace has another one now, the first item is a gap. Absent:
        /// the current.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        incarnation: Option<u64>,
    },
}

/// Which events a watch gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Each version that touched the scopes, with all its changes there.
    #[default]
    Every,
    /// The newest state only: versions that came while there was no credit are passed over and
    /// counted.
    Latest,
    /// Like `every`, but of a value that grew only the new bytes.
    Append {
        /// Bytes of the value that the client has already: they are left out as long as the value
        /// is not replaced.
        #[serde(default)]
        offset: u64,
    },
    /// Like `every`, without changes that leave a key as it was.
    Unique,
}

impl Mode {
    fn is_every(&self) -> bool {
        *self == Mode::Every
    }
}

fn yes() -> bool {
    true
}

fn is_true(flag: &bool) -> bool {
    *flag
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

fn is_zero(number: &u64) -> bool {
    *number == 0
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
    /// Which events it gives.
    #[serde(default, skip_serializing_if = "Mode::is_every")]
    pub mode: Mode,
    /// Whether changes bear values; if not, keys and kinds only.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub values: bool,
    /// Whether each change bears the value that stood there before.
    #[serde(default, skip_serializing_if = "is_false")]
    pub previous: bool,
    /// Whether to wait for the namespace if there is none; otherwise that is an error.
    #[serde(default, skip_serializing_if = "is_false")]
    pub wait_create: bool,
    /// How many items the daemon may send before it gets more by `credit`.
    pub credit: u64,
    /// How many bytes of items, see `Credit`. Absent: no limit by bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit_bytes: Option<u64>,
    /// A mark is sent when so many milliseconds have passed since the last item. 0: none but those
    /// of the daemon's own.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mark_interval_ms: u64,
    /// Values longer than this many bytes come as size and blobref. Absent: the daemon's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline_max: Option<u64>,
}

impl Watch {
    /// A watch of everything in a namespace, from now, with all defaults and no credit.
    pub fn new(namespace: impl Into<SmolStr>) -> Self {
        Watch {
            namespace: namespace.into(),
            scopes: Vec::new(),
            start: Start::Now,
            mode: Mode::Every,
            values: true,
            previous: false,
            wait_create: false,
            credit: 0,
            credit_bytes: None,
            mark_interval_ms: 0,
            inline_max: None,
        }
    }
}

/// Gives a stream more credit. Sent under the stream's id; ignored when the stream has ended.
///
/// An item is sent while the credits by items and by bytes are both above zero. It costs one, and
/// as many bytes as its body has in the frame; the last may take the bytes below zero, so that an
/// item of any size passes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// Items to add.
    #[serde(default)]
    pub add: u64,
    /// Bytes to add. Without effect on a stream that has no limit by bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bytes: u64,
}

/// One item of a watch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchItem {
    /// The first item if the namespace does not exist and the watch waits for it: `started` comes
    /// when it is made, and everything from its making on is delivered. Costs no credit.
    Absent {},
    /// The first item, or the one after `absent`: the watch stands, from here on. Costs no credit.
    Started(Started),
    /// A page of the initial state. Costs one credit.
    Initial(Initial),
    /// The changes of one version inside the scopes, or a part of them. Costs one credit.
    Changes(Changes),
    /// Versions that are not retained any more were not delivered; the state follows as `initial`.
    /// Costs one credit.
    Gap(Gap),
    /// A bookmark: no version up to this position that was not delivered touched the scopes. Never
    /// between the parts of a version or state. Costs no credit.
    Mark(Mark),
}

/// A bookmark of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Where to resume behind.
    pub position: Position,
    /// Whether it answers a `mark` request.
    #[serde(default, skip_serializing_if = "is_false")]
    pub requested: bool,
}

/// A position of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Everything after this position will be delivered. With `initial`, the position of the state
    /// that follows.
    pub position: Position,
}

/// A page of the state of the scopes, when the watch began or after a gap. An empty state is one
/// page with no entries.
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
    /// Whether the entries are only what changed since the `from` of the gap before, unlinks
    /// included, or what follows the offset of mode `append`. Otherwise they are all that there is.
    #[serde(default, skip_serializing_if = "is_false")]
    pub differences: bool,
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
    /// In mode `latest`: versions that touched the scopes and were passed over since the last item.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped: u64,
    /// What changed inside the scopes.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// Set if what changed stands in another namespace, behind a link: `position` then says how far
    /// the watch has come, and may be that of an item before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<Behind>,
    /// Whether this is the last part of the version.
    pub last: bool,
}

/// A state of another namespace, which a link leads into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// The other namespace.
    pub namespace: SmolStr,
    /// Its position; none if it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// A reference to its state; empty if it is not there.
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub snapshot: SmolStr,
}

/// Who committed something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
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

impl TransactionInfo {
    /// The transaction of that number of a client.
    pub fn new(uid: u32, client: Bytes, number: u64, name: Option<SmolStr>) -> Self {
        TransactionInfo {
            uid,
            client,
            number,
            name,
        }
    }
}

/// What happened to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
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
#[non_exhaustive]
pub struct Change {
    /// The key.
    pub key: SmolStr,
    /// What happened.
    pub kind: ChangeKind,
    /// Its new content.
    #[serde(default, skip_serializing_if = "ChangeValue::is_none")]
    pub value: ChangeValue,
    /// What stood there before, if the watch asked for it; `None` inside if there was no value or
    /// link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<ChangeValue>,
    /// In mode `append`: where in the value its bytes begin. A `put` begins at 0 and replaces what
    /// there was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// In mode `append`: the append goes on with the next change of the key, which has the bytes
    /// after these.
    #[serde(default, skip_serializing_if = "is_false")]
    pub more: bool,
}

impl Change {
    /// A change with neither previous value nor offset.
    pub fn new(key: impl Into<SmolStr>, kind: ChangeKind, value: ChangeValue) -> Self {
        Change {
            key: key.into(),
            kind,
            value,
            previous: None,
            offset: None,
            more: false,
        }
    }
}

/// A hole in what a watch could deliver; the state at `to` follows as `initial` items, then the
/// changes after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The watch had everything up to here (or was asked to begin right after it).
    pub from: Position,
    /// The position of the state that follows, and after it of the changes.
    pub to: Position,
    /// A reference to the state at `to`. May be empty; the state itself has it.
    #[serde(default)]
    pub snapshot: SmolStr,
}
