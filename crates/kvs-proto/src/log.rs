//! The log: which versions there were, who made them, and which keys they touched.

use crate::position::Position;
use crate::scope::Scope;
use crate::watch::{ChangeKind, TransactionInfo};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Asks for a page of versions, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The namespace.
    pub namespace: SmolStr,
    /// First version. One that is not retained any more is answered `compacted`, except 0, which is
    /// the oldest retained.
    #[serde(default)]
    pub from: u64,
    /// Last version. Absent: the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// Only versions that touched these; none is all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Scope>,
    /// Most versions in the page; 0 is the daemon's maximum. There may be fewer, also none,
    /// although more follow: the daemon ends a page when it has looked at many.
    #[serde(default)]
    pub limit: u64,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogVersion {
    /// Its position.
    pub position: Position,
    /// Its root, as a blobref.
    pub root: SmolStr,
    /// When it was made, in milliseconds since 1970.
    #[serde(default)]
    pub time_ms: u64,
    /// The transactions that it holds, in order.
    #[serde(default)]
    pub transactions: Vec<TransactionInfo>,
    /// The keys inside the scopes that it changed.
    #[serde(default)]
    pub changes: Vec<LogChange>,
    /// Whether it may have changed more keys than these: there were too many to look at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// One changed key, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LogChange {
    /// The key.
    pub key: SmolStr,
    /// What happened to it.
    pub kind: ChangeKind,
}

impl LogChange {
    /// What happened to a key.
    pub fn new(key: impl Into<SmolStr>, kind: ChangeKind) -> Self {
        let key = key.into();
        LogChange { key, kind }
    }
}

/// The answer to `log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogAnswer {
    /// The versions.
    pub versions: Vec<LogVersion>,
    /// Where the next page begins; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// The oldest retained version.
    #[serde(default)]
    pub oldest: u64,
    /// The newest version.
    #[serde(default)]
    pub newest: u64,
}
