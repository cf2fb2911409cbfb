//! Walks over nodes in memory: emitting them for writing, and evicting those that have been
//! written. Both visit a node once, however often it occurs: copies share nodes, so the number of
//! paths may be exponential.

use crate::hash::{Blobref, StoreParams};
use crate::node::{
    Body, Child, ChunkLink, Chunks, Content, Directory, Entry, Inner, Leaf, Node, NodeRef,
    ObjectKind, Piece, PieceLink, Value,
};
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Emits objects, children before parents. Does not descend into written objects.
pub(crate) struct Emitter<'a> {
    params: &'a StoreParams,
    is_written: &'a dyn Fn(&Blobref) -> bool,
    emit: &'a mut dyn FnMut(Blobref, ObjectKind, Bytes),
    seen: HashSet<Blobref>,
}

impl<'a> Emitter<'a> {
    pub(crate) fn new(
        params: &'a StoreParams,
        is_written: &'a dyn Fn(&Blobref) -> bool,
        emit: &'a mut dyn FnMut(Blobref, ObjectKind, Bytes),
    ) -> Self {
        Emitter {
            params,
            is_written,
            emit,
            seen: HashSet::new(),
        }
    }

    pub(crate) fn link(&mut self, link: &NodeRef) {
        let NodeRef::Loaded(node) = link else { return };
        let blobref = node.seal(self.params);
        if !self.is_new(&blobref) {
            return;
        }
        match &node.body {
            Body::Leaf(leaf) => leaf.entries.iter().for_each(|(_, entry)| self.entry(entry)),
            Body::Inner(inner) => inner
                .children
                .iter()
                .for_each(|child| self.link(&child.link)),
            Body::Chunks(chunks) => {
                for piece in &chunks.children {
                    match &piece.link {
                        PieceLink::Chunk(link) => self.chunk(link),
                        PieceLink::Node(link) => self.link(link),
                    }
                }
            }
        }
        (self.emit)(blobref, ObjectKind::Node, node.encode(self.params));
    }

    fn entry(&mut self, entry: &Entry) {
        match entry {
            Entry::Value(value) => self.value(value),
            Entry::Directory(directory) => self.link(&directory.link),
            Entry::Symlink(_) => {}
        }
    }

    pub(crate) fn value(&mut self, value: &Value) {
        match &value.0 {
            Content::Inline(_) => {}
            Content::Blob { link, .. } => self.chunk(link),
            Content::Tree { link, .. } => self.link(link),
        }
    }

    fn chunk(&mut self, link: &ChunkLink) {
        let ChunkLink::Loaded(chunk) = link else {
            return;
        };
        let blobref = chunk.seal(self.params.algorithm);
        if self.is_new(&blobref) {
            (self.emit)(blobref, ObjectKind::Blob, chunk.bytes());
        }
    }

    fn is_new(&mut self, blobref: &Blobref) -> bool {
        !(self.is_written)(blobref) && self.seen.insert(*blobref)
    }
}

/// Nodes below `link` without a hash, none of which is an ancestor of another: at least `parts` of
/// them, if some level has that many.
pub(crate) fn unsealed(link: &NodeRef, parts: usize) -> Vec<Arc<Node>> {
    let mut level = Vec::new();
    open(link, &mut level);
    while level.len() < parts {
        let mut below = Vec::new();
        for node in &level {
            match &node.body {
                Body::Leaf(leaf) => {
                    for (_, entry) in &leaf.entries {
                        match entry {
                            Entry::Directory(Directory { link, .. })
                            | Entry::Value(Value(Content::Tree { link, .. })) => {
                                open(link, &mut below);
                            }
                            Entry::Value(_) | Entry::Symlink(_) => {}
                        }
                    }
                }
                Body::Inner(inner) => {
                    for child in &inner.children {
                        open(&child.link, &mut below);
                    }
                }
                Body::Chunks(_) => {}
            }
        }
        if below.is_empty() {
            break;
        }
        level = below;
    }
    level
}

fn open(link: &NodeRef, to: &mut Vec<Arc<Node>>) {
    if let NodeRef::Loaded(node) = link
        && node.hash.get().is_none()
    {
        to.push(node.clone());
    }
}

/// Replaces written objects in trees by references to their names, to free their memory. The
/// content of the trees stays equal.
///
/// Use one instance for all trees that may share nodes, such as the versions of a namespace: a node
/// is visited once, and shared nodes stay shared. Costs the unwritten nodes, once each; nodes
/// without written objects below are kept as they are. A tree seen before costs only its top node.
pub struct Detacher<W> {
    params: StoreParams,
    is_written: W,
    done: HashMap<Blobref, Arc<Node>>,
}

impl<W: Fn(&Blobref) -> bool> Detacher<W> {
    /// A detacher that has not seen any tree.
    pub fn new(params: StoreParams, is_written: W) -> Self {
        Detacher {
            params,
            is_written,
            done: HashMap::new(),
        }
    }

    /// The same directory, detached.
    pub fn directory(&mut self, directory: &Directory) -> Directory {
        let link = self.link(&directory.link);
        Directory {
            link: link.unwrap_or_else(|| directory.link.clone()),
            stats: directory.stats,
        }
    }

    /// The same value, detached.
    pub fn value(&mut self, value: &Value) -> Value {
        self.content(value).unwrap_or_else(|| value.clone())
    }

    /// The replacement for a link; `None` if it stays.
    fn link(&mut self, link: &NodeRef) -> Option<NodeRef> {
        let NodeRef::Loaded(node) = link else {
            return None;
        };
        let blobref = node.seal(&self.params);
        if (self.is_written)(&blobref) {
            return Some(NodeRef::Stored(blobref));
        }
        let done = match self.done.get(&blobref) {
            Some(done) => done.clone(),
            None => {
                let done = match self.body(&node.body) {
                    Some(body) => Arc::new(Node {
                        body,
                        hash: blobref.into(),
                    }),
                    None => node.clone(),
                };
                self.done.insert(blobref, done.clone());
                done
            }
        };
        (!Arc::ptr_eq(&done, node)).then_some(NodeRef::Loaded(done))
    }

    fn body(&mut self, body: &Body) -> Option<Body> {
        Some(match body {
            Body::Leaf(leaf) => Body::Leaf(Leaf {
                entries: changed(&leaf.entries, |(name, entry)| {
                    Some((name.clone(), self.entry(entry)?))
                })?,
                stats: leaf.stats,
            }),
            Body::Inner(inner) => {
                let children = changed(&inner.children, |child| {
                    let link = self.link(&child.link)?;
                    Some(Child {
                        link,
                        ..child.clone()
                    })
                })?;
                Body::Inner(Inner::new(inner.height, children))
            }
            Body::Chunks(chunks) => Body::Chunks(Chunks {
                children: changed(&chunks.children, |piece| {
                    let link = match &piece.link {
                        PieceLink::Chunk(link) => PieceLink::Chunk(self.chunk(link)?),
                        PieceLink::Node(link) => PieceLink::Node(self.link(link)?),
                    };
                    Some(Piece { link, ..*piece })
                })?,
                ..*chunks
            }),
        })
    }

    fn entry(&mut self, entry: &Entry) -> Option<Entry> {
        match entry {
            Entry::Value(value) => self.content(value).map(Entry::Value),
            Entry::Directory(Directory { link, stats }) => Some(Entry::Directory(Directory {
                link: self.link(link)?,
                stats: *stats,
            })),
            Entry::Symlink(_) => None,
        }
    }

    fn content(&mut self, value: &Value) -> Option<Value> {
        Some(Value(match &value.0 {
            Content::Inline(_) => return None,
            Content::Blob { len, link } => Content::Blob {
                len: *len,
                link: self.chunk(link)?,
            },
            Content::Tree { len, link } => Content::Tree {
                len: *len,
                link: self.link(link)?,
            },
        }))
    }

    fn chunk(&self, link: &ChunkLink) -> Option<ChunkLink> {
        let ChunkLink::Loaded(chunk) = link else {
            return None;
        };
        let blobref = chunk.seal(self.params.algorithm);
        (self.is_written)(&blobref).then_some(ChunkLink::Stored(blobref))
    }
}

/// An object as it is in memory when nothing below it is.
pub enum Detached {
    /// A node, which names what is below it.
    Node(Arc<Node>),
    /// A blob.
    Blob(Bytes),
}

/// Visits what changes are made of: the nodes of a tree that are in memory, children before
/// parents, each once, and the last blob of each value, to which appends add.
pub(crate) struct Visitor<'a> {
    detacher: Detacher<fn(&Blobref) -> bool>,
    visit: &'a mut dyn FnMut(Blobref, Detached),
    seen: HashSet<Blobref>,
}

impl<'a> Visitor<'a> {
    pub(crate) fn new(
        params: &StoreParams,
        visit: &'a mut dyn FnMut(Blobref, Detached),
    ) -> Visitor<'a> {
        Visitor {
            // So a node is detached from all that is below it, without a look there.
            detacher: Detacher::new(*params, |_| true),
            visit,
            seen: HashSet::new(),
        }
    }

    pub(crate) fn link(&mut self, link: &NodeRef) {
        let NodeRef::Loaded(node) = link else { return };
        let blobref = node.seal(&self.detacher.params);
        if !self.seen.insert(blobref) {
            return;
        }
        match &node.body {
            Body::Leaf(leaf) => leaf.entries.iter().for_each(|(_, entry)| match entry {
                Entry::Value(Value(Content::Blob { link, .. })) => self.chunk(link),
                Entry::Value(Value(Content::Tree { link, .. })) => self.link(link),
                Entry::Directory(directory) => self.link(&directory.link),
                Entry::Value(_) | Entry::Symlink(_) => {}
            }),
            Body::Inner(inner) => {
                let children = inner.children.iter();
                children.for_each(|child| self.link(&child.link));
            }
            Body::Chunks(chunks) => match chunks.children.last().map(|piece| &piece.link) {
                Some(PieceLink::Chunk(link)) => self.chunk(link),
                Some(PieceLink::Node(link)) => self.link(link),
                None => {}
            },
        }
        let node = match self.detacher.body(&node.body) {
            Some(body) => Arc::new(Node {
                body,
                hash: blobref.into(),
            }),
            None => node.clone(),
        };
        (self.visit)(blobref, Detached::Node(node));
    }

    fn chunk(&mut self, link: &ChunkLink) {
        if let ChunkLink::Loaded(chunk) = link {
            let blobref = chunk.seal(self.detacher.params.algorithm);
            if self.seen.insert(blobref) {
                (self.visit)(blobref, Detached::Blob(chunk.bytes()));
            }
        }
    }
}

/// The items, with those replaced for which `change` returns another; `None` if it does so for
/// none.
fn changed<T: Clone>(items: &[T], mut change: impl FnMut(&T) -> Option<T>) -> Option<Vec<T>> {
    let mut all: Option<Vec<T>> = None;
    for (at, item) in items.iter().enumerate() {
        let new = change(item);
        if let (None, Some(_)) = (&all, &new) {
            all = Some(items.get(..at).unwrap_or_default().to_vec());
        }
        if let Some(all) = &mut all {
            all.push(new.unwrap_or_else(|| item.clone()));
        }
    }
    all
}
