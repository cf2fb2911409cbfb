//! Decides whether a transaction may join the open version: only if no key of one equals, contains
//! or is below a key of the other. So a watched key shows every one of its values although commits
//! are merged (RFC 0002).

use std::collections::HashMap;

use foldhash::fast::RandomState;
use kvs_tree::Key;
use smol_str::SmolStr;

/// All keys that the transactions of one version read or wrote.
#[derive(Default)]
pub(crate) struct TouchedKeys {
    /// The texts of these keys and of the keys above them.
    keys: HashMap<SmolStr, Touch, RandomState>,
}

/// How a key is touched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Touch {
    /// It was read or written.
    Itself,
    /// Only keys below it were read or written.
    Below,
}

impl TouchedKeys {
    /// Whether a transaction that touches `keys` needs a version of its own. Cost: one lookup for
    /// each name of each key.
    pub(crate) fn conflict(&self, keys: &[Key]) -> bool {
        !self.keys.is_empty() && keys.iter().any(|key| self.overlaps(key))
    }

    fn overlaps(&self, key: &Key) -> bool {
        // The root is above every key.
        if key.is_root() || self.keys.contains_key(".") {
            return true;
        }
        let itself = |above: &str| self.keys.get(above) == Some(&Touch::Itself);
        self.keys.contains_key(key.as_str()) || above(key).any(itself)
    }

    /// Adds the keys of a transaction that joined the version.
    pub(crate) fn add(&mut self, keys: &[Key]) {
        for key in keys {
            for above in above(key) {
                if !self.keys.contains_key(above) {
                    self.keys.insert(SmolStr::new(above), Touch::Below);
                }
            }
            self.keys.insert(SmolStr::new(key.as_str()), Touch::Itself);
        }
    }
}

/// The texts of the keys above a key, without the root.
fn above(key: &Key) -> impl Iterator<Item = &str> {
    let text = if key.is_root() { "" } else { key.as_str() };
    let dots = text.bytes().enumerate().filter(|(_, byte)| *byte == b'.');
    dots.filter_map(move |(end, _)| text.get(..end))
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
