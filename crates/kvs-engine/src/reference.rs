//! Names of places in a namespace's history: a position, and a snapshot reference, which is text
//! that any service can pass to any other. Neither grants a right.

use std::fmt;
use std::str::FromStr;

use kvs_tree::Blobref;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::error::{EngineError, ErrorKind};
use crate::limits::NAMESPACE_BYTES;

/// The namespace that every store has.
pub const PRIMARY: &str = "primary";

/// A version of one incarnation of a namespace. Versions rise by one from 0 (empty); a namespace
/// that is made again, or whose tail was lost in a weak durability mode, has a new incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Which life of the namespace.
    pub incarnation: u64,
    /// Which version in that life.
    pub version: u64,
}

/// A snapshot reference, `NAMESPACE@VERSION:BLOBREF`. It can be read while that version is
/// retained or pinned and had that root.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotRef {
    /// The namespace.
    pub namespace: SmolStr,
    /// The version.
    pub version: u64,
    /// The root that the version had.
    pub root: Blobref,
}

impl fmt::Display for SnapshotRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.namespace, self.version, self.root)
    }
}

impl FromStr for SnapshotRef {
    type Err = EngineError;

    fn from_str(text: &str) -> Result<Self, EngineError> {
        let wrong = || {
            EngineError::new(
                ErrorKind::Invalid,
                format!("{text:?} is not a snapshot reference (NAMESPACE@VERSION:BLOBREF)"),
            )
        };
        let (place, root) = text.rsplit_once(':').ok_or_else(wrong)?;
        let (namespace, version) = place.rsplit_once('@').ok_or_else(wrong)?;
        check_namespace_name(namespace)?;
        Ok(Self {
            namespace: namespace.into(),
            version: version.parse().map_err(|_| wrong())?,
            root: root.parse().map_err(|_| wrong())?,
        })
    }
}

/// Which state a read shall see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// The newest published version.
    Current,
    /// A version of the current incarnation.
    Version(u64),
    /// The state that a snapshot reference names.
    Snapshot(SnapshotRef),
    /// A bare root or directory reference; for the instance owner only, since it names no
    /// namespace whose rights could be checked.
    Root(Blobref),
}

/// Refuses names that could not stand in a snapshot reference.
///
/// # Errors
/// `Invalid` for an empty name, one over [`NAMESPACE_BYTES`], or one with `@`, `:`, blanks or
/// control characters.
pub(crate) fn check_namespace_name(name: &str) -> Result<(), EngineError> {
    let bad = |c: char| c == '@' || c == ':' || c.is_whitespace() || c.is_control();
    if name.is_empty() || name.len() > NAMESPACE_BYTES || name.contains(bad) {
        return Err(EngineError::new(
            ErrorKind::Invalid,
            format!(
                "{name:?} cannot name a namespace: 1 to {NAMESPACE_BYTES} bytes without '@', ':', blanks or control characters"
            ),
        ));
    }
    Ok(())
}
