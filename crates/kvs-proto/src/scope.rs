//! Sets of keys, as lists, watches and the log take them.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// How the text of a scope is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    /// By its looks: a glob if it has one of `*?[`, else a key and, if that is a directory, all
    /// below it.
    #[default]
    Auto,
    /// Exactly one key.
    Key,
    /// A key and all below it.
    Directory,
    /// A pattern: `*` is one name, `**` any number of names, `?` and `[…]` within a name.
    Glob,
}

/// A set of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// How to read the text.
    #[serde(default)]
    pub kind: ScopeKind,
    /// A key or a pattern.
    pub text: SmolStr,
}
