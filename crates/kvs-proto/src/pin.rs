//! Pins: snapshots that stay readable.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Keeps a snapshot readable until it is unpinned or its lease runs out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The snapshot, `NAMESPACE@VERSION:BLOBREF`.
    pub snapshot: SmolStr,
    /// How long it lives, in milliseconds. Absent: until it is unpinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
}

/// A pin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinInfo {
    /// Its id, unique in the store.
    pub id: u64,
    /// What it keeps.
    pub snapshot: SmolStr,
    /// Who pinned it.
    #[serde(default)]
    pub uid: u32,
    /// How long its lease is, in milliseconds. Absent: until it is unpinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
    /// How much of its lease is left, in milliseconds. Absent: until it is unpinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_ms: Option<u64>,
}

/// The answer to `pin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinAnswer {
    /// The pin.
    pub pin: PinInfo,
}

/// Releases a pin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpin {
    /// Its id.
    pub id: u64,
}

/// Asks for all pins that the caller may see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {}

/// The answer to `pins`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinsAnswer {
    /// The pins, by id.
    pub pins: Vec<PinInfo>,
}
