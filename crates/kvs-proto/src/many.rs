//! Reading much at once: many keys in one request, and the tree's own nodes for clients that keep
//! them.

use crate::code::ErrorBody;
use crate::entry::Entry;
use crate::payload;
use crate::position::{At, Position};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Asks what is at many keys of one state. Links are followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupMany {
    /// The namespace.
    pub namespace: SmolStr,
    /// The keys, at most `LOOKUP_KEYS`.
    pub keys: Vec<SmolStr>,
    /// Which state to read, for all of them the same.
    #[serde(default, skip_serializing_if = "At::is_current")]
    pub at: At,
    /// Values longer than this many bytes come as size and blobref. Absent: the daemon's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline_max: Option<u64>,
}

/// What became of one key of a `lookup_many`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LookedUp {
    /// Nothing stands there.
    Absent,
    /// This stands there.
    Found(Entry),
    /// It cannot be told: the key is malformed, or a link on the way leads in a circle or where the
    /// caller may not read.
    Failed(ErrorBody),
}

/// The answer to `lookup_many`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupManyAnswer {
    /// One for each key, in their order; if the answer would be too long, for the first of them
    /// only, at least one. The rest is to be asked for again, at `snapshot`, or at the root that
    /// was asked for if that is empty.
    pub results: Vec<LookedUp>,
    /// The position that was read.
    pub position: Position,
    /// The root that was read, as a blobref.
    pub root: SmolStr,
    /// A reference to the state that was read. Empty when a bare root was read.
    #[serde(default)]
    pub snapshot: SmolStr,
}

/// Asks for the nodes of directories by which a key is reached in one state, so that whoever keeps
/// them can look up that key, and others beside it, by himself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nodes {
    /// The namespace.
    pub namespace: SmolStr,
    /// The key. Links are followed, also one at the key itself, as far as they stay in the
    /// namespace.
    pub key: SmolStr,
    /// Which state to read.
    #[serde(default, skip_serializing_if = "At::is_current")]
    pub at: At,
    /// So many of the nodes, from the first on, the client has already. They are left out of the
    /// answer.
    #[serde(default)]
    pub have: u64,
    /// A value at the key that stands in none of the nodes comes along unless it is longer than
    /// this many bytes. Absent: the daemon's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline_max: Option<u64>,
}

/// The answer to `nodes`. That there is nothing at the key is no error: the nodes tell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodesAnswer {
    /// The nodes behind the first `have`, each once, in the order in which a lookup comes to them,
    /// in their canonical encoding. The hash of each is its name: the first's is the root, each
    /// other's stands in one before it.
    #[serde(with = "payload::list")]
    pub nodes: Vec<Bytes>,
    /// Whether more follow, to be asked for with a greater `have`.
    #[serde(default)]
    pub more: bool,
    /// The value at the key, if it stands in none of the nodes, is short enough, and no nodes
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
    /// A reference to the state that was read. Empty when a bare root was read.
    #[serde(default)]
    pub snapshot: SmolStr,
}
