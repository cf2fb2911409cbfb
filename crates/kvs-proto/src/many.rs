//! Bulk reads: many keys in one request, and the tree's nodes for clients that keep them.

use crate::code::ErrorBody;
use crate::entry::Entry;
use crate::payload;
use crate::position::{At, Position};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Reads the entries at many keys of one state. Links are followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupMany {
    /// The namespace.
    pub namespace: SmolStr,
    /// The keys, at most `LOOKUP_KEYS`.
    pub keys: Vec<SmolStr>,
    /// Which state to read, the same for all keys.
    #[serde(default, skip_serializing_if = "At::is_current")]
    pub at: At,
    /// Values longer than this many bytes come as size and blobref. Absent: the daemon's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline_max: Option<u64>,
}

/// The result for one key of a `lookup_many`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LookedUp {
    /// There is no entry.
    Absent,
    /// The entry.
    Found(Entry),
    /// The lookup failed: the key is malformed, or a link on the way is in a loop or leads to where
    /// the caller may not read.
    Failed(ErrorBody),
}

/// The answer to `lookup_many`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupManyAnswer {
    /// One result for each key, in their order. If the answer would be too long, only results for
    /// the first keys, at least one: request the rest again at `snapshot`, or if that is empty, at
    /// the requested root.
    pub results: Vec<LookedUp>,
    /// The position that was read.
    pub position: Position,
    /// The root that was read, as a blobref.
    pub root: SmolStr,
    /// A reference to the state that was read. Empty if a bare root was read.
    #[serde(default)]
    pub snapshot: SmolStr,
}

/// Reads the directory nodes on the path to a key in one state. A client that keeps them can look
/// up this key, and others near it, without requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nodes {
    /// The namespace.
    pub namespace: SmolStr,
    /// The key. Links are followed, including one at the key itself, as long as they stay in the
    /// namespace.
    pub key: SmolStr,
    /// Which state to read.
    #[serde(default, skip_serializing_if = "At::is_current")]
    pub at: At,
    /// The number of nodes, from the first on, that the client already has. The answer omits them.
    #[serde(default)]
    pub have: u64,
    /// A value at the key that is not inside one of the nodes is included unless it is longer than
    /// this many bytes. Absent: the daemon's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline_max: Option<u64>,
}

/// The answer to `nodes`. A missing key is not an error: the nodes show that it is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodesAnswer {
    /// The nodes after the first `have`, each once, in the order in which a lookup visits them, in
    /// canonical encoding. The hash of each is its name: that of the first is the root, and every
    /// other one is named in an earlier node.
    #[serde(with = "payload::list")]
    pub nodes: Vec<Bytes>,
    /// Whether more nodes follow; request them with a greater `have`.
    #[serde(default)]
    pub more: bool,
    /// The value at the key, if it is not inside one of the nodes, is short enough, and no nodes
    /// follow.
    #[serde(
        default,
        with = "payload::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub value: Option<Bytes>,
    /// The position that was read.
    pub position: Position,
    /// The root that was read, as a blobref.
    pub root: SmolStr,
    /// A reference to the state that was read. Empty if a bare root was read.
    #[serde(default)]
    pub snapshot: SmolStr,
}
