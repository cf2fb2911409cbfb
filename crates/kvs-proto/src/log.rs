//! The log: past versions, their authors, and the keys they touched.

use crate::position::Position;
use crate::scope::Scope;
use crate::watch::{ChangeKind, TransactionInfo};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Reads a page of versions, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The namespace.
    pub namespace: SmolStr,
    /// First version. If it is no longer retained, the answer is `compacted`; 0 means the oldest
    /// retained.
    #[serde(default)]
    pub from: u64,
    /// Last version. Absent: the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// Only versions that touched these scopes; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Scope>,
    /// Maximum versions in the page; 0 means the daemon's maximum. A page may have fewer or none
    /// although more follow, since the daemon also bounds how many versions it examines.
    #[serde(default)]
    pub limit: u64,
}

/// A version in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogVersion {
    /// Its position.
    pub position: Position,
    /// Its root, as a blobref.
    pub root: SmolStr,
    /// When it was created, in milliseconds since 1970.
    #[serde(default)]
    pub time_ms: u64,
    /// The transactions in this version, in order.
    #[serde(default)]
    pub transactions: Vec<TransactionInfo>,
    /// The changed keys inside the scopes.
    #[serde(default)]
    pub changes: Vec<LogChange>,
    /// Whether further keys may have changed: there were too many to examine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// A changed key, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LogChange {
    /// The key.
    pub key: SmolStr,
    /// How it changed.
    pub kind: ChangeKind,
}

impl LogChange {
    /// A change of `key`.
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
    /// The first version of the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// The oldest retained version.
    #[serde(default)]
    pub oldest: u64,
    /// The newest version.
    #[serde(default)]
    pub newest: u64,
}
