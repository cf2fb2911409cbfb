//! Where in the history of a namespace something was read or done.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// A version of a namespace: versions rise by one within an incarnation; a restored or re-created
/// namespace has another incarnation, and versions of different incarnations cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Identity of the namespace's life.
    pub incarnation: u64,
    /// The version; the empty namespace is version 0.
    pub version: u64,
}

/// The newest position that a client knew when it *first* sent a commit; comes with a repetition of
/// it.
pub type RepeatFrom = Position;

/// Which state a request reads. Absent fields mean `Current`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// The newest durable version when the request is served.
    #[default]
    Current,
    /// That version of the current incarnation.
    Version(u64),
    /// A snapshot reference, `NAMESPACE@VERSION:BLOBREF`. It must name the namespace of the
    /// request, or the request's namespace must be empty.
    Snapshot(SmolStr),
    /// A bare blobref of a root or directory. For the instance owner.
    Root(SmolStr),
}

impl At {
    pub(crate) fn is_current(&self) -> bool {
        *self == At::Current
    }
}
