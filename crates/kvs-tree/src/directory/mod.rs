//! Directories of any size: one flat leaf while small, then a tree of nodes whose boundaries depend
//! only on the names. So equal content has an equal name whatever its history, an edit rewrites one
//! path, and entries are read in sorted pages.

mod levels;

mod regroup;

mod edit;

mod cursor;

use crate::error::{TreeError, TreeErrorKind};
use crate::hash::{Blobref, StoreParams};
use crate::node::name::Sought;
use crate::node::walk::{Detached, Detacher, Emitter, Visitor, unsealed};
use crate::node::{
    Body, Child, Directory, Entry, Inner, Leaf, Node, NodeRef, ObjectKind, Stats, is_name,
};
use crate::source::{Ctx, Fault, NodeSource};
use bytes::Bytes;
use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::sync::Arc;

pub use cursor::EntryChange;

fn check_name(name: &str) -> Result<(), TreeError> {
    if is_name(name) {
        return Ok(());
    }
    Err(TreeError::new(
        TreeErrorKind::Invalid,
        format!("{name:?} is not a valid entry name"),
    ))
}

impl Entry {
    /// Whether both entries have the same kind and content. Compares hashes, and computes those of
    /// changed nodes.
    pub fn same(&self, other: &Entry, params: &StoreParams) -> bool {
        match (self, other) {
            (Entry::Value(one), Entry::Value(two)) => one.same(two, params),
            (Entry::Directory(one), Entry::Directory(two)) => one.same(two, params),
            (Entry::Symlink(one), Entry::Symlink(two)) => one == two,
            _ => false,
        }
    }
}

fn in_leaf<'a>(leaf: &'a Leaf, name: &str) -> Option<&'a Entry> {
    let sought = Sought::new(name);
    let place = leaf
        .entries
        .binary_search_by(|(other, _)| sought.order(other));
    let entry = place.ok().and_then(|at| leaf.entries.get(at));
    entry.map(|(_, entry)| entry)
}

/// The part that a name belongs to; `None` if it sorts before all parts.
fn in_inner<'a>(inner: &'a Inner, name: &str) -> Option<&'a Child> {
    let sought = Sought::new(name);
    let behind = inner
        .children
        .partition_point(|child| sought.is_reached_by(&child.first));
    behind.checked_sub(1).and_then(|at| inner.children.get(at))
}

/// See [`Directory::descend`].
fn descend<T>(
    mut link: &NodeRef,
    source: &dyn NodeSource,
    name: &str,
    visit: &impl Fn(&NodeRef, &Arc<Node>),
    see: impl FnOnce(Option<&Entry>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    while let NodeRef::Loaded(node) = link {
        visit(link, node);
        link = match below(node, name)? {
            Below::Entry(entry) => return see(entry),
            Below::Part(next) => next,
        };
    }
    let node = link.load(source)?;
    visit(link, &node);
    match below(&node, name)? {
        Below::Entry(entry) => see(entry),
        // Recurses at most as often as the directory is high.
        Below::Part(next) => descend(next, source, name, visit, see),
    }
}

/// The next step towards a name.
enum Below<'a> {
    Entry(Option<&'a Entry>),
    Part(&'a NodeRef),
}

fn below<'a>(node: &'a Node, name: &str) -> Result<Below<'a>, Fault> {
    Ok(match &node.body {
        Body::Leaf(leaf) => Below::Entry(in_leaf(leaf, name)),
        Body::Inner(inner) => match in_inner(inner, name) {
            Some(child) => Below::Part(&child.link),
            None => Below::Entry(None),
        },
        Body::Chunks(_) => return Err(regroup::damaged()),
    })
}

impl Directory {
    /// A directory without entries.
    pub fn empty() -> Self {
        let node = Node::new(Body::Leaf(Leaf::new(Vec::new())));
        Directory {
            link: NodeRef::Loaded(Arc::new(node)),
            stats: Stats::EMPTY,
        }
    }

    /// A directory of these entries. Equal to inserting them one by one, in any order, but cheaper.
    /// Refuses ([`TreeErrorKind::Invalid`]) invalid names. Costs O(n).
    pub fn from_entries(
        params: &StoreParams,
        entries: BTreeMap<SmolStr, Entry>,
    ) -> Result<Self, TreeError> {
        entries.keys().try_for_each(|name| check_name(name))?;
        let entries = entries
            .into_iter()
            .map(|(name, entry)| (name.into(), entry));
        let node = regroup::build(entries.collect(), params);
        Ok(Directory {
            stats: node.stats(),
            link: NodeRef::Loaded(node),
        })
    }

    /// A stored directory, with the totals that its parent holds next to its name.
    pub fn stored(blobref: Blobref, stats: Stats) -> Self {
        Directory {
            link: NodeRef::Stored(blobref),
            stats,
        }
    }

    /// A stored directory known only by name; takes the totals from its decoded top node.
    pub fn load_root(blobref: Blobref, node: &Arc<Node>) -> Self {
        Directory {
            link: NodeRef::Stored(blobref),
            stats: node.stats(),
        }
    }

    /// The totals of everything below. Needs no walk.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// The number of direct entries. Needs the top node.
    pub fn len(&self, source: &dyn NodeSource) -> Result<u64, Fault> {
        Ok(self.link.load(source)?.len())
    }

    /// Whether there are no entries. Needs no walk.
    pub fn is_empty(&self) -> bool {
        self.stats.entries == 0
    }

    /// The entry called `name`. Costs O(log n).
    pub fn get(&self, source: &dyn NodeSource, name: &str) -> Result<Option<Entry>, Fault> {
        self.descend(source, name, &|_, _| (), |entry| Ok(entry.cloned()))
    }

    /// Calls `see` with the entry called `name`, without copying it or pinning nodes in memory.
    /// Calls `visit` with each node on the path, from the top, and the link to it.
    pub(crate) fn descend<T>(
        &self,
        source: &dyn NodeSource,
        name: &str,
        visit: &impl Fn(&NodeRef, &Arc<Node>),
        see: impl FnOnce(Option<&Entry>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        descend(&self.link, source, name, visit, see)
    }

    /// Edits one entry in place. `f` gets the entry (`None` if absent) and leaves the new one. If
    /// `f` fails it must leave the old entry, and `self` is unchanged; if it took the entry
    /// instead, `self` is unspecified, so such callers work on a clone. `f` is called at most once.
    /// Refuses ([`TreeErrorKind::Invalid`]) an invalid name. Costs O(log n): copies the shared
    /// nodes of one path.
    pub fn update(
        &mut self,
        ctx: &Ctx<'_>,
        name: &str,
        f: &mut dyn FnMut(&mut Option<Entry>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        check_name(name)?;
        edit::update(self, ctx, name, f)
    }

    /// Up to `limit` entries in name order, starting after `after`.
    pub fn page(
        &self,
        source: &dyn NodeSource,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(SmolStr, Entry)>, Fault> {
        let mut found = Vec::new();
        cursor::page(&*self.link.load(source)?, source, after, limit, &mut found)?;
        Ok(found)
    }

    /// Up to `limit` direct entries that differ between `self` (before) and `other` (after), in
    /// name order, starting after `after`. Skips parts with equal hashes: the cost depends on the
    /// differences, not on the size of the directories.
    pub fn changes(
        &self,
        other: &Directory,
        ctx: &Ctx<'_>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<EntryChange>, Fault> {
        cursor::changes(self, other, ctx, after, limit)
    }

    /// The name of the directory. Computes only the hashes of changed nodes.
    pub fn seal(&self, params: &StoreParams) -> Blobref {
        self.link.seal(params)
    }

    /// Nodes at or below this directory without a hash, at least `parts` of them if there are as
    /// many. After large changes these can be hashed on several threads, which leaves little to
    /// hash for the directory itself.
    pub fn unsealed(&self, parts: usize) -> Vec<Arc<Node>> {
        unsealed(&self.link, parts)
    }

    /// Emits every object that is only in memory and for which `is_written` is false, once each,
    /// children before parents. Does not descend into written ones.
    pub fn unwritten(
        &self,
        params: &StoreParams,
        is_written: &dyn Fn(&Blobref) -> bool,
        emit: &mut dyn FnMut(Blobref, ObjectKind, Bytes),
    ) {
        Emitter::new(params, is_written, emit).link(&self.link);
    }

    /// The same directory with written objects replaced by their names, to free their memory. See
    /// [`Detacher`].
    pub fn detach(&self, params: &StoreParams, is_written: &dyn Fn(&Blobref) -> bool) -> Directory {
        Detacher::new(*params, is_written).directory(self)
    }

    /// Visits the nodes that are in memory, children before parents, each once, and the last blob
    /// of each value. They are passed as they are when nothing below them is in memory.
    pub fn in_memory(&self, params: &StoreParams, visit: &mut dyn FnMut(Blobref, Detached)) {
        Visitor::new(params, visit).link(&self.link);
    }

    /// Whether both directories have the same content, by hash.
    pub fn same(&self, other: &Directory, params: &StoreParams) -> bool {
        self.seal(params) == other.seal(params)
    }
}

#[cfg(test)]
mod tests;
