//! Making, removing and listing namespaces.

use crate::position::Position;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Makes a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NamespaceCreate {
    /// Its name.
    pub name: SmolStr,
    /// User id of its owner. Absent: the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
    /// Its first root, as a blobref. Absent: empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<SmolStr>,
    /// The snapshot that it begins as a copy of. Absent: empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<SmolStr>,
}

impl NamespaceCreate {
    /// Makes an empty namespace that belongs to the caller.
    pub fn named(name: impl Into<SmolStr>) -> Self {
        Self {
            name: name.into(),
            owner: None,
            root: None,
            from: None,
        }
    }
}

/// Removes a namespace; an unknown one is no error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceRemove {
    /// Its name.
    pub name: SmolStr,
}

/// Lets a user read a namespace of others, or takes that right back, which ends the user's streams.
/// Either may be repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceShare {
    /// Its name.
    pub name: SmolStr,
    /// The user.
    pub uid: u32,
    /// Whether the user may read it from now on.
    pub read: bool,
}

/// Makes another user the owner of a namespace. Who owned it before keeps no right on it, and its
/// streams there end. For the instance owner; may be repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceChown {
    /// Its name.
    pub name: SmolStr,
    /// User id of the new owner.
    pub owner: u32,
}

/// Asks for all namespaces that the caller may see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {}

/// A namespace.
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
    /// User ids that may read it although they do not own it; told to its owner and the instance
    /// owner only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readers: Vec<u32>,
}

/// The answer to `namespaces`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespacesAnswer {
    /// The namespaces, by name.
    pub namespaces: Vec<NamespaceInfo>,
}
