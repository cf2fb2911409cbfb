//! Edits of one entry. Most change one leaf and the totals on its path; where a cut may appear,
//! vanish or move, the surroundings are grouped again.

use super::levels::Mark;
use super::regroup::{damaged, regroup};
use crate::hash::StoreParams;
use crate::limits::{FLAT_MAX, LEAF_MAX};
use crate::node::inline::Inline;
use crate::node::name::Sought;
use crate::node::{Body, Directory, Entry, Inner, Leaf, Node, NodeRef, Stats, Value};
use crate::source::{Ctx, Fault};

/// An edit of an entry: gets the old one and leaves the new one or, on an error, the old one.
pub(super) type Change<'a> = &'a mut dyn FnMut(&mut Option<Entry>) -> Result<(), Fault>;

/// Applies `change` to the entry `name`. On an error the directory is unchanged, unless `change`
/// took the entry.
pub(super) fn update(
    directory: &mut Directory,
    ctx: &Ctx<'_>,
    name: &str,
    change: Change<'_>,
) -> Result<(), Fault> {
    let root = directory.link.edit(ctx.source)?;
    let edit = Edit {
        ctx,
        name,
        sought: Sought::new(name),
        count: root.len(),
        flat: root.height() == 0,
    };
    let edges = Edges {
        is_first: true,
        next: None,
    };
    if let Outcome::Regroup { entry, count } = edit.node(root, edges, change)? {
        let root = directory.link.load(ctx.source)?;
        directory.link = NodeRef::Loaded(regroup(&root, ctx, name, entry, count)?);
    }
    if let NodeRef::Loaded(root) = &directory.link {
        directory.stats = root.stats();
    }
    Ok(())
}

enum Outcome {
    /// Done; the totals of the edited node are up to date.
    Done,
    /// The directory, which will have `count` entries, must be grouped again with `entry` at the
    /// name.
    Regroup { entry: Option<Entry>, count: u64 },
}

/// The neighbours of a node in its directory.
#[derive(Clone, Copy)]
struct Edges<'a> {
    /// Whether it is the first node of its height.
    is_first: bool,
    /// The first name of the next node.
    next: Option<&'a str>,
}

struct Edit<'a> {
    ctx: &'a Ctx<'a>,
    name: &'a str,
    sought: Sought<'a>,
    /// The number of entries before the edit.
    count: u64,
    /// Whether the whole directory is one leaf.
    flat: bool,
}

impl Edit<'_> {
    fn node(
        &self,
        node: &mut Node,
        edges: Edges<'_>,
        change: Change<'_>,
    ) -> Result<Outcome, Fault> {
        match node.body_mut() {
            Body::Inner(inner) => self.inner(inner, edges, change),
            Body::Leaf(leaf) => self.leaf(leaf, edges, change),
            Body::Chunks(_) => Err(damaged()),
        }
    }

    fn inner(
        &self,
        inner: &mut Inner,
        edges: Edges<'_>,
        change: Change<'_>,
    ) -> Result<Outcome, Fault> {
        let behind = inner
            .children
            .partition_point(|child| self.sought.is_reached_by(&child.first));
        let at = behind.saturating_sub(1);
        let (children, others) = inner.children.split_at_mut(at + 1);
        let Some(child) = children.last_mut() else {
            return Err(damaged());
        };
        let edges = Edges {
            is_first: edges.is_first && at == 0,
            next: others
                .first()
                .map(|other| other.first.as_str())
                .or(edges.next),
        };
        let node = child.edit(self.ctx.source)?;
        if node.height() + 1 != inner.height {
            return Err(damaged());
        }
        let outcome = self.node(node, edges, change)?;
        if let Outcome::Done = outcome {
            let (len, new) = (node.len(), node.stats());
            let old_len = std::mem::replace(&mut child.len, len);
            let old = std::mem::replace(&mut child.stats, new);
            inner.len = inner.len.saturating_sub(old_len).saturating_add(len);
            let depths = inner.children.iter().map(|child| child.stats.depth);
            inner.stats = replaced(inner.stats, old, new, depths);
        }
        Ok(outcome)
    }

    fn leaf(
        &self,
        leaf: &mut Leaf,
        edges: Edges<'_>,
        change: Change<'_>,
    ) -> Result<Outcome, Fault> {
        let place = leaf
            .entries
            .binary_search_by(|(name, _)| self.sought.order(name));
        let (at, old) = match place {
            Ok(at) => (at, leaf.entries.get_mut(at)),
            Err(at) => (at, None),
        };
        let Some((_, old)) = old else {
            let mut slot = None;
            change(&mut slot)?;
            return Ok(match slot {
                Some(entry) => self.insert(leaf, at, entry, edges),
                None => Outcome::Done,
            });
        };
        let before = old.stats();
        let empty = Entry::Value(Value::inline_bytes(Inline::EMPTY));
        let mut slot = Some(std::mem::replace(old, empty));
        if let Err(fault) = change(&mut slot) {
            if let Some(entry) = slot {
                *old = entry;
            }
            return Err(fault);
        }
        let after = match slot {
            Some(entry) => {
                let after = entry.stats();
                *old = entry;
                after
            }
            None => {
                let may_join = self.removal_moves_cuts(leaf, at, edges);
                leaf.entries.remove(at);
                if may_join {
                    return Ok(Outcome::Regroup {
                        entry: None,
                        count: self.count - 1,
                    });
                }
                Stats::EMPTY
            }
        };
        let depths = leaf.entries.iter().map(|(_, entry)| entry.stats().depth);
        leaf.stats = replaced(leaf.stats, before, after, depths);
        Ok(Outcome::Done)
    }

    fn insert(&self, leaf: &mut Leaf, at: usize, entry: Entry, edges: Edges<'_>) -> Outcome {
        let count = self.count + 1;
        if self.insertion_moves_cuts(leaf, at, edges) {
            return Outcome::Regroup {
                entry: Some(entry),
                count,
            };
        }
        leaf.stats = leaf.stats.join(entry.stats());
        leaf.entries.insert(at, (self.name.into(), entry));
        Outcome::Done
    }

    /// Whether cuts may appear or move if the name is inserted at `at`. They do not if the name
    /// comes after the leaf's first, is not a cut, and would not be chosen over one of the cuts
    /// next to it: then the recursive cutting leads it to this leaf.
    fn insertion_moves_cuts(&self, leaf: &Leaf, at: usize, edges: Edges<'_>) -> bool {
        if self.flat && self.count < FLAT_MAX as u64 {
            return false;
        }
        let Some((first, _)) = leaf.entries.first() else {
            return true;
        };
        if self.flat && self.count == FLAT_MAX as u64 || at == 0 || leaf.entries.len() >= LEAF_MAX {
            return true;
        }
        let mark = |name| (mark(name, self.ctx.params), name);
        let new = mark(self.name);
        new.0.cuts(0)
            || !edges.is_first && new < mark(first.as_str())
            || edges.next.is_some_and(|next| new < mark(next))
    }

    /// Whether cuts may vanish or move if the entry at `at` is removed. They do not if it is not
    /// the first and the cuts next to it do not depend on the length of the run between them.
    fn removal_moves_cuts(&self, leaf: &Leaf, at: usize, edges: Edges<'_>) -> bool {
        if self.flat {
            return false;
        }
        let forced = |name: &str| !mark(name, self.ctx.params).cuts(0);
        at == 0
            || self.count <= FLAT_MAX as u64 + 1
            || !edges.is_first && leaf.entries.first().is_none_or(|(first, _)| forced(first))
            || edges.next.is_some_and(forced)
    }
}

fn mark(name: &str, params: &StoreParams) -> Mark {
    Mark::of(name, params)
}

/// The totals after one part changed from `old` to `new`; `depths` are those of all parts now.
fn replaced(all: Stats, old: Stats, new: Stats, depths: impl Iterator<Item = u32>) -> Stats {
    Stats {
        entries: all
            .entries
            .saturating_sub(old.entries)
            .saturating_add(new.entries),
        bytes: all
            .bytes
            .saturating_sub(old.bytes)
            .saturating_add(new.bytes),
        depth: if new.depth < old.depth && old.depth == all.depth {
            depths.fold(Stats::EMPTY.depth, u32::max)
        } else {
            all.depth.max(new.depth)
        },
    }
}
