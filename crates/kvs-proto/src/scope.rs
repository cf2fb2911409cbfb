//! Sets of keys, for lists, watches and the log.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// How the text of a scope is interpreted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    /// A glob if the text contains one of `*?[`; otherwise a key and, if it is a directory,
    /// everything below it.
    #[default]
    Auto,
    /// Exactly one key.
    Key,
    /// A key and everything below it.
    Directory,
    /// A pattern: `*` matches one name, `**` any number of names, `?` and `[…]` match within a
    /// name.
    Glob,
}

/// A set of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// How to interpret the text.
    #[serde(default)]
    pub kind: ScopeKind,
    /// A key or a pattern.
    pub text: SmolStr,
}
