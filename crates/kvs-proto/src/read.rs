//! Reading: lookups, lists, ranges of values, roots, and waiting for a version.

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
    /// Values longer than this many bytes come as size and blobref. Absent: the daemon's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline_max: Option<u64>,
}

/// What stands at a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A value.
    Value(ValueInfo),
    /// A directory.
    Directory(DirectoryInfo),
    /// A symbolic link that was not followed.
    Link(Link),
}

/// A value, or how to get it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ValueInfo {
    /// Length in bytes.
    pub size: u64,
    /// The whole value, unless it is longer than was asked for or a frame allows; then `read` gives
    /// it by ranges.
    #[serde(
        default,
        with = "payload::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub bytes: Option<Bytes>,
    /// The blobref of a value that is not in `bytes`. Equal blobrefs are equal values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blobref: Option<SmolStr>,
}

impl ValueInfo {
    /// A value with its bytes.
    pub fn whole(bytes: Bytes) -> Self {
        ValueInfo {
            size: bytes.len() as u64,
            bytes: Some(bytes),
            blobref: None,
        }
    }

    /// A value of so many bytes that are not told.
    pub fn of_size(size: u64, blobref: Option<SmolStr>) -> Self {
        ValueInfo {
            size,
            bytes: None,
            blobref,
        }
    }
}

/// Counts of a directory; none costs a walk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DirectoryInfo {
    /// Entries below it, at any depth.
    #[serde(default)]
    pub entries: u64,
    /// Bytes of all values below it.
    #[serde(default)]
    pub bytes: u64,
    /// Levels of directories below it: 0 when it holds none.
    #[serde(default)]
    pub depth: u64,
    /// Its direct entries. Absent in lists, where only `entries == 0` tells that it is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<u64>,
}

impl DirectoryInfo {
    /// The counts that cost no read.
    pub fn new(entries: u64, bytes: u64, depth: u64) -> Self {
        DirectoryInfo {
            entries,
            bytes,
            depth,
            names: None,
        }
    }
}

/// A symbolic link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The key it leads to.
    pub target: SmolStr,
    /// The namespace it leads into, if not its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<SmolStr>,
}

/// The answer to `lookup`. A missing key is no error: then `entry` is absent, and the rest tells
/// where it is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupAnswer {
    /// What was found, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
    /// The namespace where it was found, links followed.
    pub namespace: SmolStr,
    /// The key where it was found, links followed.
    pub key: SmolStr,
    /// The position of that namespace that was read. Version 0 of incarnation 0 when a bare root
    /// was read.
    pub position: Position,
    /// The root that was read, as a blobref.
    pub root: SmolStr,
    /// A reference to the state that was read: `NAMESPACE@VERSION:BLOBREF`. Empty when a bare root
    /// was read.
    #[serde(default)]
    pub snapshot: SmolStr,
    /// The tree object as JSON, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub treeobj: Option<String>,
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
