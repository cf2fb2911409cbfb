//! Watches: one request, then a stream of items under credit.
//!
//! `credit`, `mark` and `cancel` carry the id of their watch and have no answer of their own. A
//! cancelled watch ends with its final answer, or with an error if it failed before.

use crate::entry::Link;
use crate::payload;
use crate::position::Position;
use crate::scope::Scope;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Where a watch starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// With the first version after the newest one.
    #[default]
    Now,
    /// With the state at the newest version, then all versions after it.
    Initial,
    /// With this version, inclusive; if it is no longer retained, the first item is a gap.
    Version {
        /// The version.
        version: u64,
        /// Its incarnation; if the namespace now has another one, the first item is a gap. Absent:
        /// the current one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        incarnation: Option<u64>,
    },
}

/// Which versions a watch delivers, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Each version that touched the scopes, with all its changes inside them.
    #[default]
    Every,
    /// Only the newest state: versions that arrive while there is no credit are skipped and
    /// counted.
    Latest,
    /// Like `every`, but for a value that grew, only the appended bytes.
    Append {
        /// Bytes of the value that the client already has; they are omitted unless the value is
        /// replaced.
        #[serde(default)]
        offset: u64,
    },
    /// Like `every`, without changes that leave the content of a key the same.
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
    /// The scopes to watch; empty means all keys.
    #[serde(default)]
    pub scopes: Vec<Scope>,
    /// Where to start.
    #[serde(default)]
    pub start: Start,
    /// Which versions it delivers, and how.
    #[serde(default, skip_serializing_if = "Mode::is_every")]
    pub mode: Mode,
    /// Whether changes carry values, or only keys and kinds.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub values: bool,
    /// Whether each change also carries the previous value.
    #[serde(default, skip_serializing_if = "is_false")]
    pub previous: bool,
    /// Whether to wait for a namespace that does not exist; otherwise that is an error.
    #[serde(default, skip_serializing_if = "is_false")]
    pub wait_create: bool,
    /// How many items the daemon may send before it needs more `credit`.
    pub credit: u64,
    /// How many bytes of items the daemon may send, see `Credit`. Absent: no limit by bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit_bytes: Option<u64>,
    /// A bookmark is sent when this many milliseconds have passed since the last item. 0: only
    /// bookmarks that the daemon sends on its own.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mark_interval_ms: u64,
    /// Values longer than this many bytes come as size and blobref. Absent: the daemon's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline_max: Option<u64>,
}

impl Watch {
    /// A watch of a whole namespace from now on, with defaults and no credit.
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

/// Gives a stream more credit. Sent under the stream's id; ignored if the stream has ended.
///
/// An item is sent while both credits, in items and in bytes, are positive. It costs one item and
/// the length of its body in bytes. The byte credit may become negative, so that an item of any
/// size can be sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// Items to add.
    #[serde(default)]
    pub add: u64,
    /// Bytes to add. Ignored for a stream without a limit by bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bytes: u64,
}

/// An item of a watch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchItem {
    /// The first item if the namespace does not exist and the watch waits for it. `started` follows
    /// when it is created, and everything since its creation is delivered. Costs no credit.
    Absent {},
    /// The first item, or the one after `absent`: the watch is established. Costs no credit.
    Started(Started),
    /// A page of the initial state. Costs one credit.
    Initial(Initial),
    /// The changes of one version inside the scopes, or a part of them. Costs one credit.
    Changes(Changes),
    /// Versions were not delivered because they are no longer retained; the state follows as
    /// `initial`. Costs one credit.
    Gap(Gap),
    /// A bookmark: every version up to this position that touched the scopes was delivered. Never
    /// sent between the parts of a version or state. Costs no credit.
    Mark(Mark),
}

/// A bookmark of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The position to resume after.
    pub position: Position,
    /// Whether it answers a `mark` request.
    #[serde(default, skip_serializing_if = "is_false")]
    pub requested: bool,
}

/// The start of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Everything after this position will be delivered. With `initial`, the position of the state
    /// that follows.
    pub position: Position,
}

/// A page of the state inside the scopes, at the start of the watch or after a gap. An empty state
/// is one page without entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Initial {
    /// The position of the state, the same for all pages.
    pub position: Position,
    /// The root, as a blobref.
    pub root: SmolStr,
    /// A reference to the state.
    pub snapshot: SmolStr,
    /// When this version was created, in milliseconds since 1970.
    #[serde(default)]
    pub time_ms: u64,
    /// Whether the entries are only the changes since the `from` of the preceding gap, unlinks
    /// included, or the bytes after the offset of mode `append`. Otherwise they are the complete
    /// state.
    #[serde(default, skip_serializing_if = "is_false")]
    pub differences: bool,
    /// The keys of this page, each as if it had just been put.
    #[serde(default)]
    pub entries: Vec<Change>,
    /// Whether this is the last page.
    pub last: bool,
}

/// Changes of one version, or a part of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The position of the version.
    pub position: Position,
    /// Its root, as a blobref.
    pub root: SmolStr,
    /// A reference to its state, to read other keys of it.
    pub snapshot: SmolStr,
    /// When it was created, in milliseconds since 1970. Never decreases.
    #[serde(default)]
    pub time_ms: u64,
    /// The transactions in this version, in order. Only in the first part.
    #[serde(default)]
    pub transactions: Vec<TransactionInfo>,
    /// In mode `latest`: how many versions that touched the scopes were skipped since the last
    /// item.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped: u64,
    /// The changes inside the scopes.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// Set if the changes are in another namespace, behind a link. `position` then says how far the
    /// watch is, and may equal that of an earlier item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<Behind>,
    /// Whether this is the last part of the version.
    pub last: bool,
}

/// A state of another namespace that a link refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// The other namespace.
    pub namespace: SmolStr,
    /// Its position; absent if it does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// A reference to its state; empty if it does not exist.
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub snapshot: SmolStr,
}

/// The author of a transaction, and its identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TransactionInfo {
    /// User id of the author.
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
    /// The transaction with this number of a client.
    pub fn new(uid: u32, client: Bytes, number: u64, name: Option<SmolStr>) -> Self {
        TransactionInfo {
            uid,
            client,
            number,
            name,
        }
    }
}

/// How a key changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChangeKind {
    /// It now has a value.
    Put,
    /// Bytes were appended to its value; the change carries only these.
    Append,
    /// It was removed.
    Unlink,
    /// It is now a directory.
    Mkdir,
    /// It is now a symbolic link.
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
    /// None: an unlink or mkdir.
    #[default]
    None,
    /// The value, or for an append the appended bytes.
    Bytes(#[serde(with = "payload")] Bytes),
    /// A value too long for the stream; read it at the item's snapshot.
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

/// A changed key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Change {
    /// The key.
    pub key: SmolStr,
    /// How it changed.
    pub kind: ChangeKind,
    /// Its new content.
    #[serde(default, skip_serializing_if = "ChangeValue::is_none")]
    pub value: ChangeValue,
    /// The previous content, if the watch requested it; `None` inside if there was no value or
    /// link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<ChangeValue>,
    /// In mode `append`: where in the value these bytes begin. A `put` begins at 0 and replaces the
    /// value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// In mode `append`: the append continues with the next change of the key, which carries the
    /// bytes after these.
    #[serde(default, skip_serializing_if = "is_false")]
    pub more: bool,
}

impl Change {
    /// A change without previous value and offset.
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

/// Versions that could not be delivered. The state at `to` follows as `initial` items, then the
/// changes after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Everything up to here was delivered (or the watch was to start right after it).
    pub from: Position,
    /// The position of the state that follows; later changes are delivered after it.
    pub to: Position,
    /// A reference to the state at `to`. May be empty; the `initial` items carry it.
    #[serde(default)]
    pub snapshot: SmolStr,
}
