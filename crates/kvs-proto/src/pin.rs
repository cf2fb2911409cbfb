//! Pins: snapshots that stay readable.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Keeps a snapshot readable until it is unpinned or its lease expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The snapshot, `NAMESPACE@VERSION:BLOBREF`.
    pub snapshot: SmolStr,
    /// The lease in milliseconds. Absent: until it is unpinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
}

/// A pin as answers report it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinInfo {
    /// Its id, unique in the store.
    pub id: u64,
    /// The pinned snapshot.
    pub snapshot: SmolStr,
    /// User id of its creator.
    #[serde(default)]
    pub uid: u32,
    /// The lease in milliseconds. Absent: until it is unpinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
    /// The remaining lease in milliseconds. Absent: until it is unpinned.
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

/// Lists all pins that the caller may see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {}

/// The answer to `pins`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinsAnswer {
    /// The pins, sorted by id.
    pub pins: Vec<PinInfo>,
}
