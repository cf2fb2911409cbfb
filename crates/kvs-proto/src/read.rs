//! Reads: lookups, lists, ranges of values, roots, and waits for a version.

use crate::entry::{DirectoryInfo, Entry};
use crate::payload;
use crate::position::{At, Position};
use crate::scope::Scope;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

fn yes() -> bool {
    true
}

/// Reads the entry at a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// The namespace.
    pub namespace: SmolStr,
    /// The key; `.` is the root.
    pub key: SmolStr,
    /// Which state to read.
    #[serde(default, skip_serializing_if = "At::is_current")]
    pub at: At,
    /// Whether a link at the key itself is followed (links on the way always are). Default true.
    #[serde(default = "yes")]
    pub follow: bool,
    /// Whether the answer carries the tree object as JSON.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub treeobj: bool,
    /// Whether the answer carries the root that was read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub root: bool,
    /// Values longer than this many bytes come as size and blobref. Absent: the daemon's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline_max: Option<u64>,
}

/// Lists one page of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// The namespace.
    pub namespace: SmolStr,
    /// The directory; links are followed.
    pub key: SmolStr,
    /// Which state to read. For pages after the first: the `snapshot` of the first page, or its
    /// `root` if that is empty.
    #[serde(default, skip_serializing_if = "At::is_current")]
    pub at: At,
    /// The page begins after this key, the last one of the previous page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<SmolStr>,
    /// Maximum entries in the page; 0 means the daemon's maximum.
    #[serde(default)]
    pub limit: u64,
    /// Whether to descend into directories. Links are not followed.
    #[serde(default)]
    pub recursive: bool,
    /// Only entries inside the scope; directories on the way to it are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Values longer than this many bytes come as size and blobref; 0 omits all values. Absent: the
    /// daemon's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline_max: Option<u64>,
    /// Whether the daemon may end the page early, possibly without entries, after a number of
    /// visits; the client continues with `next`. Otherwise the request takes until an entry is
    /// found.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bounded: bool,
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ListEntry {
    /// The full key.
    pub key: SmolStr,
    /// The entry at the key.
    pub entry: Entry,
}

impl ListEntry {
    /// The entry at `key`.
    pub fn new(key: impl Into<SmolStr>, entry: Entry) -> Self {
        let key = key.into();
        ListEntry { key, entry }
    }
}

/// The answer to `list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListAnswer {
    /// The entries, sorted; a directory precedes its content.
    pub entries: Vec<ListEntry>,
    /// Whether more entries follow.
    #[serde(default)]
    pub more: bool,
    /// The `after` of the next page. Present only if the request is `bounded` and more entries
    /// follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<SmolStr>,
    /// The namespace of the directory after links were followed.
    pub namespace: SmolStr,
    /// The key of the directory after links were followed.
    pub key: SmolStr,
    /// The position that was read.
    pub position: Position,
    /// The root that was read, as a blobref.
    pub root: SmolStr,
    /// A reference to the state that was read. Empty if a bare root was read.
    #[serde(default)]
    pub snapshot: SmolStr,
}

/// Reads a range of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// The namespace.
    pub namespace: SmolStr,
    /// The key; links are followed.
    pub key: SmolStr,
    /// Which state to read. Use one snapshot for all ranges of a value.
    #[serde(default, skip_serializing_if = "At::is_current")]
    pub at: At,
    /// Offset of the first byte.
    #[serde(default)]
    pub offset: u64,
    /// Maximum bytes; fewer are returned at the end of the value, or if a frame cannot carry as
    /// many.
    pub length: u64,
}

/// The answer to `read`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadAnswer {
    /// The bytes from `offset` on; empty at or after the end.
    #[serde(with = "payload")]
    pub bytes: Bytes,
    /// Length of the whole value.
    pub size: u64,
    /// The position that was read.
    pub position: Position,
    /// A reference to the state that was read. Empty if a bare root was read.
    #[serde(default)]
    pub snapshot: SmolStr,
}

/// Reads the root and metadata of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The namespace.
    pub namespace: SmolStr,
    /// Which state to read.
    #[serde(default, skip_serializing_if = "At::is_current")]
    pub at: At,
}

/// The answer to `info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfoAnswer {
    /// The namespace.
    pub namespace: SmolStr,
    /// The position.
    pub position: Position,
    /// The root, as a blobref.
    pub root: SmolStr,
    /// A reference to this state.
    #[serde(default)]
    pub snapshot: SmolStr,
    /// When this version was created, in milliseconds since 1970.
    #[serde(default)]
    pub time_ms: u64,
    /// User id of the namespace's owner.
    #[serde(default)]
    pub owner: u32,
    /// Counts of the root directory.
    #[serde(default)]
    pub directory: DirectoryInfo,
}

/// Waits until a namespace has reached a version. Ends early only by `cancel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// The namespace.
    pub namespace: SmolStr,
    /// The version to reach.
    pub version: u64,
    /// The incarnation of the version; if the namespace has another one, the answer is
    /// `stale-snapshot` at once. Absent: the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<u64>,
}

/// The answer to `wait`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitAnswer {
    /// The position reached: the requested version or a later one.
    pub position: Position,
}
