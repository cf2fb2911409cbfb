//! Finds what a replay will read, level by level and before it starts, so that many objects can be
//! loaded at once.

use std::ops::Range;

use crate::effect::Effect;
use crate::node::{Body, Directory, Entry, Node, NodeRef, Value};
use crate::source::{Ctx, Fault, Missing};

/// The paths from a root to everything that a list of effects changes: directory nodes, and the
/// ends of values that are appended to. Each node is visited once, however many keys lead through
/// it.
///
/// Not covered are entries that the effects themselves create, by copies or otherwise, and the
/// neighbours needed to regroup a directory: these are few, and replay reports them.
#[derive(Debug)]
pub struct ReplayPrefetch<'a> {
    /// The keys, in name order.
    wanted: Vec<Wanted<'a>>,
    /// The current ends of all paths.
    ends: Vec<End<'a>>,
}

/// A key that is changed or read.
#[derive(Debug)]
struct Wanted<'a> {
    key: &'a str,
    /// The effect that appends to the entry at `key`, if any.
    more: Option<&'a Effect>,
}

#[derive(Debug)]
enum End<'a> {
    /// A node of a directory.
    Node {
        link: NodeRef,
        /// The keys that lead through the node.
        wanted: Range<usize>,
        /// The offset in these keys of the names in the node's directory.
        at: usize,
    },
    /// A value that is appended to.
    Value { value: Value, effect: &'a Effect },
}

impl<'a> ReplayPrefetch<'a> {
    /// Prepares to find what `effects` change below `root`. Costs O(n log n).
    pub fn new(root: &Directory, effects: &'a [Effect]) -> Self {
        let mut wanted = Vec::with_capacity(effects.len());
        for effect in effects {
            let key = effect.key().as_str();
            let more = matches!(effect, Effect::Append { .. }).then_some(effect);
            wanted.push(Wanted { key, more });
            if let Effect::Copy { from, .. } = effect {
                let key = from.as_str();
                wanted.push(Wanted { key, more: None });
            }
        }
        // In key order; of equal keys, the first append wins.
        wanted.sort_by(|one, two| names(one.key).cmp(names(two.key)));
        wanted.dedup_by(|next, last| {
            let same = next.key == last.key;
            if same && last.more.is_none() {
                last.more = next.more;
            }
            same
        });
        let all = End::Node {
            link: root.link.clone(),
            wanted: 0..wanted.len(),
            at: 0,
        };
        ReplayPrefetch {
            wanted,
            ends: vec![all],
        }
    }

    /// The objects needed to proceed; empty once all paths are complete. Call again when they are
    /// at hand.
    pub fn next(&mut self, ctx: &Ctx<'_>) -> Vec<Missing> {
        let mut open = std::mem::take(&mut self.ends);
        let mut missing = Vec::new();
        while let Some(end) = open.pop() {
            let fault = match &end {
                End::Node { link, wanted, at } => match link.load(ctx.source) {
                    Ok(node) => {
                        self.enter(&node, wanted.clone(), *at, &mut open);
                        continue;
                    }
                    Err(fault) => fault,
                },
                End::Value { value, effect } => match effect {
                    Effect::Append { value: more, .. } => match value.clone().append(ctx, more) {
                        Err(fault) => fault,
                        Ok(()) => continue,
                    },
                    _ => continue,
                },
            };
            // Replay reports all other faults.
            if let Fault::Missing(wanted) = fault {
                missing.extend(wanted);
                self.ends.push(end);
            }
        }
        missing
    }

    fn enter(&self, node: &Node, mut range: Range<usize>, at: usize, open: &mut Vec<End<'a>>) {
        while let Some(first) = self.wanted.get(range.clone()).and_then(<[_]>::first) {
            let name = name(first.key, at);
            match &node.body {
                Body::Inner(inner) => {
                    let behind = inner
                        .children
                        .partition_point(|child| child.first.as_str() <= name);
                    let Some(child) = inner.children.get(behind.saturating_sub(1)) else {
                        return;
                    };
                    let next = inner.children.get(behind.max(1));
                    let before = |key: &str| {
                        next.is_none_or(|next| self::name(key, at) < next.first.as_str())
                    };
                    let (own, rest) = self.split(range, before);
                    range = rest;
                    open.push(End::Node {
                        link: child.link.clone(),
                        wanted: own,
                        at,
                    });
                }
                Body::Leaf(leaf) => {
                    let (own, rest) = self.split(range, |key| self::name(key, at) == name);
                    range = rest;
                    let place = leaf
                        .entries
                        .binary_search_by(|(other, _)| other.as_str().cmp(name));
                    let entry = place.ok().and_then(|at| leaf.entries.get(at));
                    if let Some((_, entry)) = entry {
                        self.entry(entry, own, at + name.len(), open);
                    }
                }
                Body::Chunks(_) => return,
            }
        }
    }

    /// Continues at an entry, to which the first `end` bytes of the keys lead.
    fn entry(&self, entry: &Entry, range: Range<usize>, end: usize, open: &mut Vec<End<'a>>) {
        match entry {
            Entry::Directory(directory) => {
                let (_, below) = self.split(range, |key| key.len() <= end);
                if !below.is_empty() {
                    open.push(End::Node {
                        link: directory.link.clone(),
                        wanted: below,
                        at: end + 1,
                    });
                }
            }
            Entry::Value(value) => {
                let first = self.wanted.get(range.start);
                let here = first.filter(|wanted| wanted.key.len() <= end);
                if let Some(effect) = here.and_then(|wanted| wanted.more) {
                    let value = value.clone();
                    open.push(End::Value { value, effect });
                }
            }
            Entry::Symlink(_) => {}
        }
    }

    /// Splits a range of keys at the first for which `holds` is false.
    fn split(
        &self,
        range: Range<usize>,
        holds: impl Fn(&str) -> bool,
    ) -> (Range<usize>, Range<usize>) {
        let keys = self.wanted.get(range.clone()).unwrap_or_default();
        let middle = range.start + keys.partition_point(|wanted| holds(wanted.key));
        (range.start..middle, middle..range.end)
    }
}

/// The bytes of a key, mapped so that they compare as keys do: the separator is less than any byte
/// of a name.
fn names(key: &str) -> impl Iterator<Item = u16> + '_ {
    key.bytes()
        .map(|byte| if byte == b'.' { 0 } else { u16::from(byte) + 1 })
}

/// The name that starts at offset `at`.
fn name(key: &str, at: usize) -> &str {
    let rest = key.get(at..).unwrap_or_default();
    rest.split_once('.').map_or(rest, |(name, _)| name)
}
