//! Requests about the daemon itself.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::collections::BTreeMap;

/// Answered when all earlier commits are on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {}

/// Requests the state of the daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRequest {}

/// The answer to `status`, for people and dashboards. Names may be added or removed; the form
/// stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusAnswer {
    /// Numbers; each name ends in its unit (`journal_bytes`, `uptime_ms`, `connections`).
    #[serde(default)]
    pub counters: BTreeMap<SmolStr, u64>,
    /// Texts (`software`, `store`, `durability`).
    #[serde(default)]
    pub texts: BTreeMap<SmolStr, String>,
}
