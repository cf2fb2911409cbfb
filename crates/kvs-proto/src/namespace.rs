//! Creating, removing, sharing and listing namespaces.

use crate::position::Position;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Creates a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NamespaceCreate {
    /// Its name.
    pub name: SmolStr,
    /// User id of its owner. Absent: the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
    /// Its initial root, as a blobref. Absent: empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<SmolStr>,
    /// The snapshot whose content it starts with. Absent: empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<SmolStr>,
}

impl NamespaceCreate {
    /// Creates an empty namespace that belongs to the caller.
    pub fn named(name: impl Into<SmolStr>) -> Self {
        Self {
            name: name.into(),
            owner: None,
            root: None,
            from: None,
        }
    }
}

/// Removes a namespace; one that does not exist is not an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceRemove {
    /// Its name.
    pub name: SmolStr,
}

/// Grants a user read access to a namespace or revokes it; revocation ends the user's streams.
/// Idempotent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceShare {
    /// Its name.
    pub name: SmolStr,
    /// User id of the reader.
    pub uid: u32,
    /// Whether the user may read it.
    pub read: bool,
}

/// Transfers a namespace to another owner. The previous owner loses all rights to it, and their
/// streams there end. Only for the instance owner; idempotent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceChown {
    /// Its name.
    pub name: SmolStr,
    /// User id of the new owner.
    pub owner: u32,
}

/// Lists all namespaces that the caller may see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {}

/// A namespace as `namespaces` reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceInfo {
    /// Its name.
    pub name: SmolStr,
    /// User id of its owner.
    #[serde(default)]
    pub owner: u32,
    /// Flag bits; none are defined yet.
    #[serde(default)]
    pub flags: u32,
    /// Its newest position.
    pub position: Position,
    /// User ids with read access other than the owner; reported only to its owner and the instance
    /// owner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readers: Vec<u32>,
}

/// The answer to `namespaces`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespacesAnswer {
    /// The namespaces, sorted by name.
    pub namespaces: Vec<NamespaceInfo>,
}
