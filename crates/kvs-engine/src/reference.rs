//! References into a namespace's history: positions, and snapshot references, which are plain text
//! that services can pass on. Neither grants a right.

use std::fmt;
use std::str::FromStr;

use kvs_tree::Blobref;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::error::{EngineError, ErrorKind};
use crate::limits::NAMESPACE_BYTES;

/// The namespace that every store has.
pub const PRIMARY: &str = "primary";

/// A version of one incarnation of a namespace. Versions rise by one from 0 (empty). The
/// incarnation changes when a namespace is recreated or when weak durability may have lost its
/// tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The incarnation of the namespace.
    pub incarnation: u64,
    /// The version within the incarnation.
    pub version: u64,
}

/// A snapshot reference, `NAMESPACE@VERSION:BLOBREF`. Readable while the version is retained or
/// pinned; reading fails if the version had another root.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotRef {
    /// The namespace that was read.
    pub namespace: SmolStr,
    /// The version within that namespace.
    pub version: u64,
    /// The root of that version.
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

/// The state that a read sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// The newest published version.
    Current,
    /// A version of the current incarnation.
    Version(u64),
    /// The state that a snapshot reference names.
    Snapshot(SnapshotRef),
    /// A bare root or directory reference. Only for the instance owner, since it names no namespace
    /// whose rights could be checked.
    Root(Blobref),
}

/// Checks that a namespace's name is valid.
///
/// # Errors
/// `Invalid` if it is empty, longer than [`NAMESPACE_BYTES`], or contains `@`, `:`, whitespace or
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
