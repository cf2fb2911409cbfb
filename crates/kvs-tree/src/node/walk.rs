//! Walks over what is only in memory: emitting it for writing, and letting go of what has been written. Both visit a node
//! once, however often it occurs: copies share nodes, so the number of paths may be exponential.

use crate::hash::{Blobref, StoreParams};
use crate::node::{
    Body, ChunkLink, Content, Directory, Entry, Link, Node, ObjectKind, PieceLink, Value,
};
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Emits objects, children before parents. Nothing below a written object is visited.
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

    pub(crate) fn link(&mut self, link: &Link) {
        let Link::Loaded(node) = link else { return };
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

/// Replaces what has been written by its name.
pub(crate) struct Detacher<'a> {
    params: &'a StoreParams,
    is_written: &'a dyn Fn(&Blobref) -> bool,
    done: HashMap<Blobref, Arc<Node>>,
}

impl<'a> Detacher<'a> {
    pub(crate) fn new(params: &'a StoreParams, is_written: &'a dyn Fn(&Blobref) -> bool) -> Self {
        Detacher {
            params,
            is_written,
            done: HashMap::new(),
        }
    }

    pub(crate) fn link(&mut self, link: &Link) -> Link {
        let Link::Loaded(node) = link else {
            return link.clone();
        };
        let blobref = node.seal(self.params);
        if (self.is_written)(&blobref) {
            return Link::Stored(blobref);
        }
        if let Some(done) = self.done.get(&blobref) {
            return Link::Loaded(done.clone());
        }
        let mut body = node.body.clone();
        match &mut body {
            Body::Leaf(leaf) => {
                for (_, entry) in &mut leaf.entries {
                    match entry {
                        Entry::Value(value) => *value = self.value(value),
                        Entry::Directory(Directory { link, .. }) => *link = self.link(link),
                        Entry::Symlink(_) => {}
                    }
                }
            }
            Body::Inner(inner) => {
                inner
                    .children
                    .iter_mut()
                    .for_each(|child| child.link = self.link(&child.link));
            }
            Body::Chunks(chunks) => {
                for piece in &mut chunks.children {
                    match &mut piece.link {
                        PieceLink::Chunk(link) => *link = self.chunk(link),
                        PieceLink::Node(link) => *link = self.link(link),
                    }
                }
            }
        }
        let detached = Arc::new(Node {
            body,
            hash: blobref.into(),
        });
        self.done.insert(blobref, detached.clone());
        Link::Loaded(detached)
    }

    pub(crate) fn value(&mut self, value: &Value) -> Value {
        Value(match &value.0 {
            Content::Inline(bytes) => Content::Inline(bytes.clone()),
            Content::Blob { len, link } => Content::Blob {
                len: *len,
                link: self.chunk(link),
            },
            Content::Tree { len, link } => Content::Tree {
                len: *len,
                link: self.link(link),
            },
        })
    }

    fn chunk(&self, link: &ChunkLink) -> ChunkLink {
        match link {
            ChunkLink::Loaded(chunk) => {
                let blobref = chunk.seal(self.params.algorithm);
                if (self.is_written)(&blobref) {
                    ChunkLink::Stored(blobref)
                } else {
                    link.clone()
                }
            }
            ChunkLink::Stored(_) => link.clone(),
        }
    }
}
