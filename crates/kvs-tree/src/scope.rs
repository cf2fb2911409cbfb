//! Scopes: the sets of keys that watches, listings and diffs select.
//!
//! A scope answers two questions: does it contain this key, and can it contain any key below it?
//! The second lets a walk skip whole directories.

mod name;

mod glob;

mod index;

mod set;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::error::TreeError;
use crate::key::Key;

pub use glob::GlobPattern;
pub use index::{PatternId, PatternIndex, PatternSearch};
pub use set::ScopeSet;

/// A set of keys, given as a key, a directory or a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// One key, and nothing below it.
    Key(Key),
    /// A key and all keys below it.
    Directory(Key),
    /// The keys that a pattern matches.
    Glob(GlobPattern),
}

impl Scope {
    /// Parses a scope as users write it. Text with `*`, `?` or `[` is a glob (see [`GlobPattern`]).
    /// Any other text, with or without a trailing dot, is a key and everything below it. A single
    /// key without what is below it has no text form: use [`Scope::Key`].
    ///
    /// # Errors
    /// Those of [`Key::parse`] and [`GlobPattern::parse`].
    pub fn parse(text: &str) -> Result<Scope, TreeError> {
        if text.contains(['*', '?', '[']) {
            GlobPattern::parse(text).map(Scope::Glob)
        } else {
            Key::parse(text).map(Scope::Directory)
        }
    }

    /// Whether the scope contains `key`.
    #[must_use]
    pub fn matches(&self, key: &Key) -> bool {
        match self {
            Scope::Key(own) => own == key,
            Scope::Directory(own) => key.starts_with(own),
            Scope::Glob(pattern) => pattern.matches(key),
        }
    }

    /// Whether the scope may contain a key strictly below `key`.
    #[must_use]
    pub fn may_match_below(&self, key: &Key) -> bool {
        match self {
            Scope::Key(own) => own.is_below(key),
            Scope::Directory(own) => key.starts_with(own) || own.is_below(key),
            Scope::Glob(pattern) => pattern.may_match_below(key),
        }
    }

    /// The longest key that all keys of the scope are equal to or below.
    #[must_use]
    pub fn literal_prefix(&self) -> Key {
        match self {
            Scope::Key(own) | Scope::Directory(own) => own.clone(),
            Scope::Glob(pattern) => pattern.literal_prefix(),
        }
    }

    /// The key, if the scope is a single key.
    #[must_use]
    pub fn exact(&self) -> Option<&Key> {
        match self {
            Scope::Key(own) => Some(own),
            Scope::Directory(_) | Scope::Glob(_) => None,
        }
    }
}

/// A directory is shown with a trailing dot.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Key(own) => own.fmt(f),
            Scope::Directory(own) if own.is_root() => own.fmt(f),
            Scope::Directory(own) => write!(f, "{own}."),
            Scope::Glob(pattern) => pattern.fmt(f),
        }
    }
}

impl FromStr for Scope {
    type Err = TreeError;

    fn from_str(text: &str) -> Result<Scope, TreeError> {
        Scope::parse(text)
    }
}

/// Whether any scope contains `key`. An empty list contains every key.
#[must_use]
pub(crate) fn any_matches(scopes: &[Scope], key: &Key) -> bool {
    scopes.is_empty() || scopes.iter().any(|scope| scope.matches(key))
}

/// Whether any scope may contain a key below `key`. An empty list contains every key.
#[must_use]
pub(crate) fn any_may_match_below(scopes: &[Scope], key: &Key) -> bool {
    scopes.is_empty() || scopes.iter().any(|scope| scope.may_match_below(key))
}

/// The candidate names, sorted, of entries in the directory `key` that are in a scope or lead to
/// one; `None` if a scope does not fix the name. With them a walk looks up the few requested names
/// instead of reading a large directory.
pub(crate) fn literal_names_in(scopes: &[Scope], key: &Key) -> Option<Vec<SmolStr>> {
    if scopes.is_empty() {
        return None;
    }
    let depth = key.depth();
    let mut names = Vec::new();
    for scope in scopes.iter().filter(|scope| scope.may_match_below(key)) {
        let prefix = scope.literal_prefix();
        if !prefix.is_below(key) {
            return None;
        }
        names.extend(prefix.names().nth(depth).map(SmolStr::new));
    }
    names.sort_unstable();
    names.dedup();
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::parse(text).unwrap()
    }

    #[test]
    fn text_without_wildcards_is_a_directory() {
        assert_eq!(Scope::parse("a.b").unwrap(), Scope::Directory(key("a.b")));
        assert_eq!(Scope::parse("a.b.").unwrap(), Scope::Directory(key("a.b")));
        assert_eq!(Scope::parse(".").unwrap(), Scope::Directory(Key::ROOT));
        assert!(matches!(Scope::parse("a.*").unwrap(), Scope::Glob(_)));
        assert!(Scope::parse("").is_err());
    }

    #[test]
    fn display_reads_back() {
        for text in [".", "a.b.", "a.*.c", "**", "a.[x-z]?"] {
            let scope = Scope::parse(text).unwrap();
            assert_eq!(scope.to_string(), text);
            assert_eq!(Scope::parse(&scope.to_string()).unwrap(), scope);
        }
    }

    #[test]
    fn keys_and_directories_prune() {
        let one = Scope::Key(key("a.b"));
        assert!(one.matches(&key("a.b")) && !one.matches(&key("a.b.c")) && !one.matches(&key("a")));
        assert!(one.may_match_below(&key("a")) && one.may_match_below(&Key::ROOT));
        assert!(!one.may_match_below(&key("a.b")) && !one.may_match_below(&key("b")));
        let all = Scope::Directory(key("a.b"));
        assert!(all.matches(&key("a.b")) && all.matches(&key("a.b.c")) && !all.matches(&key("a")));
        assert!(all.may_match_below(&key("a")) && all.may_match_below(&key("a.b.c")));
        assert!(!all.may_match_below(&key("c")));
        assert_eq!(one.exact(), Some(&key("a.b")));
        assert_eq!(all.exact(), None);
    }
}
