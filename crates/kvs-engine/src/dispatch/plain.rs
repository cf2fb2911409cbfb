//! Watched keys and directories, in key order.
//!
//! The keys below a key follow it directly, so an effect on a subtree scans one range.

use std::collections::BTreeMap;
use std::ops::Bound;

use kvs_tree::Key;

use super::cursor::FOUND;
use super::groups::Holder;
use super::wake::Slice;
use crate::prefix_bloom::PrefixBloom;

/// The watches of a key, and those of it and everything below.
enum At {
    Exact(Holder),
    Below(Holder),
    Both(Box<(Holder, Holder)>),
}

impl At {
    fn of(exact: Option<Holder>, below: Option<Holder>) -> Option<Self> {
        Some(match (exact, below) {
            (None, None) => return None,
            (Some(exact), None) => At::Exact(exact),
            (None, Some(below)) => At::Below(below),
            (Some(exact), Some(below)) => At::Both(Box::new((exact, below))),
        })
    }

    fn exact(&self) -> Option<Holder> {
        match self {
            At::Exact(exact) => Some(*exact),
            At::Below(_) => None,
            At::Both(both) => Some(both.0),
        }
    }

    fn below(&self) -> Option<Holder> {
        match self {
            At::Exact(_) => None,
            At::Below(below) => Some(*below),
            At::Both(both) => Some(both.1),
        }
    }
}

/// The index of keys and directories.
#[derive(Default)]
pub(super) struct PlainIndex {
    index: BTreeMap<Key, At>,
    /// Filter of the index's keys.
    presence: PrefixBloom,
}

impl PlainIndex {
    pub(super) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Changes the watches of a key or, with `below`, of a directory.
    pub(super) fn change(
        &mut self,
        key: &Key,
        below: bool,
        change: impl FnOnce(Option<Holder>) -> Option<Holder>,
    ) {
        let old = self.index.remove(key);
        let held = old.is_some();
        let (mut exact, mut under) = old.map_or((None, None), |at| (at.exact(), at.below()));
        let place = if below { &mut under } else { &mut exact };
        *place = change(*place);
        let Some(new) = At::of(exact, under) else {
            if held {
                self.presence.remove(key);
            }
            return;
        };
        let placed = held || self.presence.insert(key);
        self.index.insert(key.clone(), new);
        if !placed {
            self.presence = PrefixBloom::of(self.index.keys());
        }
    }

    /// Collects the watches of `key` and of the directories above it.
    pub(super) fn at(&self, key: &Key, slice: &mut Slice, found: &mut Vec<Holder>) {
        slice.visit();
        if self.index.is_empty() {
            return;
        }
        let depth = key.depth();
        for count in self.presence.prefixes(key) {
            slice.visit();
            if let Some(at) = self.index.get(&key.prefix(count)) {
                found.extend(at.below());
                found.extend(at.exact().filter(|_| count == depth));
            }
        }
    }

    /// Collects watches of keys below `key` that come after `after`, up to a limit. Returns the key
    /// to continue after, or `None` at the end.
    pub(super) fn below(
        &self,
        key: &Key,
        after: &Key,
        slice: &mut Slice,
        found: &mut Vec<Holder>,
    ) -> Option<Key> {
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        for (other, at) in self.index.range::<Key, _>(behind) {
            if !other.starts_with(key) {
                return None;
            }
            slice.visit();
            found.extend(at.below());
            found.extend(at.exact());
            if slice.is_over() || found.len() >= FOUND {
                return Some(other.clone());
            }
        }
        None
    }
}
