//! Positions in the history of a namespace.

use crate::pack::{Rest, number};
use bytes::BytesMut;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// A version of a namespace. Versions rise by one within an incarnation. A restored or recreated
/// namespace has another incarnation; versions of different incarnations cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The incarnation of the namespace.
    pub incarnation: u64,
    /// The version; 0 is the empty namespace.
    pub version: u64,
}

impl Position {
    /// Appends its two numbers, as the fields of an array have them.
    #[inline]
    pub(crate) fn write(self, out: &mut BytesMut) {
        number(out, self.incarnation);
        number(out, self.version);
    }

    /// Reads what [`write`](Self::write) appends.
    #[inline]
    pub(crate) fn read(rest: &mut Rest<'_>) -> Option<Self> {
        Some(Position {
            incarnation: rest.number()?,
            version: rest.number()?,
        })
    }
}

/// The newest position that a client knew when it *first* sent a commit; sent with each repeat of
/// the commit.
pub type RepeatFrom = Position;

/// Which state a request reads. Absent fields mean `Current`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// The newest durable version at the time the request is served.
    #[default]
    Current,
    /// This version of the current incarnation.
    Version(u64),
    /// A snapshot reference, `NAMESPACE@VERSION:BLOBREF`. The namespace of the request must be the
    /// same or empty.
    Snapshot(SmolStr),
    /// A bare blobref of a root or directory. Only for the instance owner.
    Root(SmolStr),
}

impl At {
    pub(crate) fn is_current(&self) -> bool {
        *self == At::Current
    }
}
