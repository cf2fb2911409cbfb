//! Reading: lookups, lists, ranges of values, roots, and waiting for a version.

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

/// Asks what is at a key.
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
    /// Whether the answer tells the root that was read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub root: bool,
    /// Values longer than this many bytes come as size and blobref. Absent: the daemon's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline_max: Option<u64>,
}

/// Asks for one page of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// The namespace.
    pub namespace: SmolStr,
    /// The directory; a link is followed.
    pub key: SmolStr,
    /// Which state to read; for all pages after the first the `snapshot` of the first, or `root` if
    /// that is empty.
    #[serde(default, skip_serializing_if = "At::is_current")]
    pub at: At,
    /// The page begins behind this key: the last one of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<SmolStr>,
    /// Most entries in the page; 0 is the daemon's maximum.
    #[serde(default)]
    pub limit: u64,
    /// Whether directories are descended into. Links are not.
    #[serde(default)]
    pub recursive: bool,
    /// Only entries inside the scope; those above it that lead there are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Values longer than this many bytes come as size and blobref. 0 for no values. Absent: the
    /// daemon's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline_max: Option<u64>,
    /// Whether the page may end, possibly without entries, when the daemon has visited many: the
    /// client goes on after `next`. Otherwise the answer takes as long as it takes to find an
    /// entry.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bounded: bool,
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ListEntry {
    /// The full key.
    pub key: SmolStr,
    /// What is there.
    pub entry: Entry,
}

impl ListEntry {
    /// What is at a key.
    pub fn new(key: impl Into<SmolStr>, entry: Entry) -> Self {
        let key = key.into();
        ListEntry { key, entry }
    }
}

/// The answer to `list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListAnswer {
    /// The entries, sorted, each directory before what is in it.
    pub entries: Vec<ListEntry>,
    /// Whether more follow.
    #[serde(default)]
    pub more: bool,
    /// The key after which they do, as the `after` of the next page. Only where the request is
    /// `bounded` and more follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<SmolStr>,
    /// The namespace of the directory, links followed.
    pub namespace: SmolStr,
    /// The key of the directory, links followed.
    pub key: SmolStr,
    /// The position that was read.
    pub position: Position,
    /// The root that was read, as a blobref.
    pub root: SmolStr,
    /// A reference to the state that was read. Empty when a bare root was read.
    #[serde(default)]
    pub snapshot: SmolStr,
}

/// Asks for a range of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// The namespace.
    pub namespace: SmolStr,
    /// The key; links are followed.
    pub key: SmolStr,
    /// Which state to read; for all ranges of one value the same snapshot.
    #[serde(default, skip_serializing_if = "At::is_current")]
    pub at: At,
    /// First byte.
    #[serde(default)]
    pub offset: u64,
    /// Most bytes; fewer come at the end of the value or when it is more than a frame carries.
    pub length: u64,
}

/// The answer to `read`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadAnswer {
    /// The bytes from `offset` on; empty at or behind the end.
    #[serde(with = "payload")]
    pub bytes: Bytes,
    /// Length of the whole value.
    pub size: u64,
    /// The position that was read.
    pub position: Position,
    /// A reference to the state that was read. Empty when a bare root was read.
    #[serde(default)]
    pub snapshot: SmolStr,
}

/// Asks for the root of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The namespace.
    pub namespace: SmolStr,
    /// Which state.
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
    /// A reference to that state.
    #[serde(default)]
    pub snapshot: SmolStr,
    /// When that version was made, in milliseconds since 1970.
    #[serde(default)]
    pub time_ms: u64,
    /// User id of the namespace's owner.
    #[serde(default)]
    pub owner: u32,
    /// Counts of the root directory.
    #[serde(default)]
    pub directory: DirectoryInfo,
}

/// Asks to be answered when a namespace has reached a version. Ends early only by `cancel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// The namespace.
    pub namespace: SmolStr,
    /// The version to reach.
    pub version: u64,
    /// The incarnation that the version belongs to; another one is answered `stale-snapshot` at
    /// once. Absent: the current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<u64>,
}

/// The answer to `wait`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitAnswer {
    /// The position reached: that version or a later one.
    pub position: Position,
}
