//! Directories of any size: one flat leaf while they are small, then a tree of nodes that is cut
//! where the names alone decide. So equal content has an equal name whatever the history, an edit
//! rewrites one path, and entries come sorted in pages.

mod levels;

mod regroup;

mod edit;

mod cursor;

use crate::error::{TreeError, TreeErrorKind};
use crate::hash::{Blobref, StoreParams};
use crate::node::name::Sought;
use crate::node::walk::{Detacher, Emitter, unsealed};
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
    /// Whether both are the same: kind and content. Compares hashes; computes those of changed
    /// nodes.
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

/// The part that a name belongs to; `None` for one before all.
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
        // Calls itself as often as directories are high at most.
        Below::Part(next) => descend(next, source, name, visit, see),
    }
}

/// Where the way to a name leads from a node.
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

    /// A directory of these entries: the same as putting them in one by one, in any order, but
    /// cheaper. Refuses ([`TreeErrorKind::Invalid`]) what is no name. Cost O(n).
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

    /// A stored directory, with the totals that stand beside its name in its parent.
    pub fn stored(blobref: Blobref, stats: Stats) -> Self {
        Directory {
            link: NodeRef::Stored(blobref),
            stats,
        }
    }

    /// A stored directory that is known by its name alone: the totals are taken from its decoded
    /// node.
    pub fn load_root(blobref: Blobref, node: &Arc<Node>) -> Self {
        Directory {
            link: NodeRef::Stored(blobref),
            stats: node.stats(),
        }
    }

    /// Totals of everything below. No walk.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Number of direct entries. Needs the top node.
    pub fn len(&self, source: &dyn NodeSource) -> Result<u64, Fault> {
        Ok(self.link.load(source)?.len())
    }

    /// Whether there are no entries. No walk.
    pub fn is_empty(&self) -> bool {
        self.stats.entries == 0
    }

    /// The entry of this name. Cost O(log n).
    pub fn get(&self, source: &dyn NodeSource, name: &str) -> Result<Option<Entry>, Fault> {
        self.descend(source, name, &|_, _| (), |entry| Ok(entry.cloned()))
    }

    /// What `see` makes of the entry of this name, which is neither copied nor are nodes in memory
    /// held. Shows each node on the way, from the top, with the link that led to it.
    pub(crate) fn descend<T>(
        &self,
        source: &dyn NodeSource,
        name: &str,
        visit: &impl Fn(&NodeRef, &Arc<Node>),
        see: impl FnOnce(Option<&Entry>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        descend(&self.link, source, name, visit, see)
    }

    /// Edits one entry in place: `f` gets the entry (`None` if absent) and leaves what shall stand
    /// there, on an error what stood there. Then `self` is as it was; but if `f` took the entry
    /// away, `self` is unspecified on an error: such callers work on a clone. `f` is called at most
    /// once. Refuses ([`TreeErrorKind::Invalid`]) what is no name. Cost O(log n): one path is
    /// copied if it is shared.
    pub fn update(
        &mut self,
        ctx: &Ctx<'_>,
        name: &str,
        f: &mut dyn FnMut(&mut Option<Entry>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        check_name(name)?;
        edit::update(self, ctx, name, f)
    }

    /// At most `limit` entries in order of names, from the first behind `after`.
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

    /// At most `limit` direct entries that differ between `self` (before) and `other` (after), in
    /// order of names, from the first behind `after`. Skips parts of equal hash: the cost grows
    /// with the differences, not with the directories.
    pub fn changes(
        &self,
        other: &Directory,
        ctx: &Ctx<'_>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<EntryChange>, Fault> {
        cursor::changes(self, other, ctx, after, limit)
    }

    /// The name of the directory. Computes the hashes of changed nodes only.
    pub fn seal(&self, params: &StoreParams) -> Blobref {
        self.link.seal(params)
    }

    /// Parts of the directory, and of what is below, that have no hash yet, at least so many if
    /// there are: where much was changed, they can be sealed on several threads, and then the
    /// directory with little left to do.
    pub fn unsealed(&self, parts: usize) -> Vec<Arc<Node>> {
        unsealed(&self.link, parts)
    }

    /// Emits every object that is only in memory and that `is_written` does not know, once each,
    /// children before parents. Does not descend into written ones.
    pub fn unwritten(
        &self,
        params: &StoreParams,
        is_written: &dyn Fn(&Blobref) -> bool,
        emit: &mut dyn FnMut(Blobref, ObjectKind, Bytes),
    ) {
        Emitter::new(params, is_written, emit).link(&self.link);
    }

    /// The same directory with written objects referred to by name, so that their memory is freed.
    /// See [`Detacher`].
    pub fn detach(&self, params: &StoreParams, is_written: &dyn Fn(&Blobref) -> bool) -> Directory {
        Detacher::new(*params, is_written).directory(self)
    }

    /// Whether both have the same content: equal hash.
    pub fn same(&self, other: &Directory, params: &StoreParams) -> bool {
        self.seal(params) == other.seal(params)
    }
}

#[cfg(test)]
mod tests;
