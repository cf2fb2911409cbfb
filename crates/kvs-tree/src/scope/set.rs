//! Scope sets, for testing one key after another against many scopes.
//!
//! Up to a few scopes are tried one by one. More are compiled: a key then costs its names and the
//! patterns that stay alive along it, not the number of scopes.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::Scope;
use super::index::{PatternIndex, PatternSearch};
use crate::key::Key;

/// Maximum number of scopes that are tried one by one.
const FEW: usize = 8;

#[derive(Debug)]
struct Compiled {
    keys: HashSet<Key>,
    directories: HashSet<Key>,
    /// Every proper ancestor of a key or directory of the set.
    above: HashSet<Key>,
    patterns: PatternIndex<()>,
    /// Kept to reuse its memory.
    search: Mutex<PatternSearch>,
}

/// A set of scopes, compiled if there are many.
#[derive(Debug)]
pub struct ScopeSet {
    few: Vec<Scope>,
    many: Option<Compiled>,
}

impl ScopeSet {
    /// Compiles `scopes`. The empty set contains no key.
    pub fn new(scopes: Vec<Scope>) -> Self {
        if scopes.len() <= FEW {
            return Self {
                few: scopes,
                many: None,
            };
        }
        let mut many = Compiled {
            keys: HashSet::new(),
            directories: HashSet::new(),
            above: HashSet::new(),
            patterns: PatternIndex::default(),
            search: Mutex::default(),
        };
        for scope in scopes {
            if let Scope::Key(key) | Scope::Directory(key) = &scope {
                let depths = 0..key.depth();
                many.above.extend(depths.map(|count| key.prefix(count)));
            }
            match scope {
                Scope::Key(key) => drop(many.keys.insert(key)),
                Scope::Directory(key) => drop(many.directories.insert(key)),
                Scope::Glob(pattern) => drop(many.patterns.insert(&pattern, ())),
            }
        }
        Self {
            few: Vec::new(),
            many: Some(many),
        }
    }

    /// Whether some scope contains `key` or, with `below`, may contain a key below it.
    #[must_use]
    pub fn touches(&self, key: &Key, below: bool) -> bool {
        let one = |scope: &Scope| scope.matches(key) || (below && scope.may_match_below(key));
        self.few.iter().any(one)
            || self
                .many
                .as_ref()
                .is_some_and(|many| many.touches(key, below))
    }

    /// Approximate cost of one [`touches`](Self::touches), in scopes tried.
    #[must_use]
    pub fn weight(&self) -> usize {
        // The number of live nodes is not known in advance; it is rarely large.
        self.few.len().max(1)
            + self
                .many
                .as_ref()
                .map_or(0, |many| many.patterns.len() / 16)
    }
}

impl Compiled {
    fn touches(&self, key: &Key, below: bool) -> bool {
        let within =
            || (0..=key.depth()).any(|count| self.directories.contains(&key.prefix(count)));
        if self.keys.contains(key)
            || (below && self.above.contains(key))
            || (!self.directories.is_empty() && within())
        {
            return true;
        }
        if self.patterns.is_empty() {
            return false;
        }
        let mut search = self.search.lock().unwrap_or_else(PoisonError::into_inner);
        self.patterns.matches(&mut search, key, below)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn many_scopes_hold_what_one_of_them_holds(
            texts in prop::collection::vec("(\\.|a|b|a\\.b|a\\.\\*|\\*\\*\\.b|a\\.b\\.c|\\?\\.x|b\\.\\*\\*)", 0..30),
            exact in any::<bool>(),
            names in prop::collection::vec("[abcx]", 0..4),
            below in any::<bool>(),
        ) {
            let mut scopes: Vec<Scope> = texts.iter().map(|text| Scope::parse(text).unwrap()).collect();
            if exact {
                scopes.extend(["a.b", "b.x"].map(|text| Scope::Key(Key::parse(text).unwrap())));
            }
            let text = if names.is_empty() { ".".to_owned() } else { names.join(".") };
            let key = Key::parse(&text).unwrap();
            let wanted = scopes.iter().any(|scope| {
                scope.matches(&key) || (below && scope.may_match_below(&key))
            });
            prop_assert_eq!(ScopeSet::new(scopes).touches(&key, below), wanted);
        }
    }
}
