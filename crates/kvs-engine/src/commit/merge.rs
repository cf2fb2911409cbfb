//! When a transaction may join the newest version of its batch: only if no key of one equals,
//! contains or lies under a key of the other. That is what keeps every value of a watched key
//! visible although commits are merged (RFC 0002).

use std::collections::BTreeSet;
use std::ops::Bound;

use kvs_tree::Key;
use smol_str::SmolStr;

/// Every key that the transactions of one version read or wrote.
#[derive(Default)]
pub(crate) struct TouchedKeys {
    /// As text: '.' stands in no name, so what lies below a key is one range.
    keys: BTreeSet<SmolStr>,
}

impl TouchedKeys {
    /// Whether a transaction that touches `keys` must have a version of its own. Cost: logarithmic
    /// for each name of each key.
    pub(crate) fn conflict(&self, keys: &[Key]) -> bool {
        !self.keys.is_empty() && keys.iter().any(|key| self.overlaps(key))
    }

    fn overlaps(&self, key: &Key) -> bool {
        if key.is_root() || self.keys.contains(".") {
            return true;
        }
        let text = key.as_str();
        let mut ends = text
            .match_indices('.')
            .map(|(at, _)| at)
            .chain([text.len()]);
        if ends.any(|end| {
            text.get(..end)
                .is_some_and(|above| self.keys.contains(above))
        }) {
            return true;
        }
        let below = format!("{text}.");
        let from = (Bound::Included(below.as_str()), Bound::Unbounded);
        self.keys
            .range::<str, _>(from)
            .next()
            .is_some_and(|next| next.starts_with(&below))
    }

    /// Takes in the keys of a transaction that joined.
    pub(crate) fn add(&mut self, keys: &[Key]) {
        self.keys
            .extend(keys.iter().map(|key| SmolStr::new(key.as_str())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::parse(text).unwrap()
    }

    #[test]
    fn equal_containing_and_contained_keys_conflict() {
        let mut touched = TouchedKeys::default();
        touched.add(&[key("a.b"), key("x")]);
        for other in ["a.b", "a", "a.b.c", "x.y.z", "."] {
            assert!(touched.conflict(&[key(other)]), "{other}");
        }
        for other in ["a.c", "a-b", "a.bb", "ab", "y.x"] {
            assert!(!touched.conflict(&[key(other)]), "{other}");
        }
    }

    #[test]
    fn the_root_conflicts_with_everything_but_nothing() {
        let mut touched = TouchedKeys::default();
        assert!(!touched.conflict(&[key(".")]));
        touched.add(&[key(".")]);
        assert!(touched.conflict(&[key("a")]));
    }
}
