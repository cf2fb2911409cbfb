//! Questions to the daemon itself.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::collections::BTreeMap;

/// Is answered when everything that was committed before is on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {}

/// Asks how the daemon is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRequest {}

/// The answer to `status`: for people and dashboards. Names may come and go; nothing else does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusAnswer {
    /// Numbers, each under a name that ends in its unit (`journal_bytes`, `uptime_ms`,
    /// `connections`).
    #[serde(default)]
    pub counters: BTreeMap<SmolStr, u64>,
    /// Texts (`software`, `store`, `durability`).
    #[serde(default)]
    pub texts: BTreeMap<SmolStr, String>,
}
