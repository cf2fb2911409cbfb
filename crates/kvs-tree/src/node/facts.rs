//! Properties of nodes: totals, size, and the stored objects that they refer to.

use crate::hash::Blobref;
use crate::node::name::Name;
use crate::node::{
    Body, Child, ChunkLink, Content, Entry, Node, NodeRef, ObjectKind, Piece, PieceLink, Stats,
    Value,
};

impl Node {
    /// The totals of this part of a directory, or the length of this part of a value.
    pub fn stats(&self) -> Stats {
        match &self.body {
            Body::Leaf(leaf) => leaf.stats,
            Body::Inner(inner) => inner.stats,
            Body::Chunks(chunks) => Stats {
                entries: 0,
                bytes: chunks.len,
                depth: 0,
            },
        }
    }

    /// Height above the leaves of a directory.
    pub(crate) fn height(&self) -> u8 {
        match &self.body {
            Body::Inner(inner) => inner.height,
            Body::Leaf(_) | Body::Chunks(_) => 0,
        }
    }

    /// The number of direct entries of the directory in this part.
    pub(crate) fn len(&self) -> u64 {
        match &self.body {
            Body::Leaf(leaf) => leaf.entries.len() as u64,
            Body::Inner(inner) => inner.len,
            Body::Chunks(_) => 0,
        }
    }

    /// The first name in this part of a directory.
    pub(crate) fn first(&self) -> Option<&Name> {
        match &self.body {
            Body::Leaf(leaf) => leaf.entries.first().map(|(name, _)| name),
            Body::Inner(inner) => inner.children.first().map(|child| &child.first),
            Body::Chunks(_) => None,
        }
    }

    /// The children of an inner node of a directory; empty for other nodes.
    pub(crate) fn parts(&self) -> &[Child] {
        match &self.body {
            Body::Inner(inner) => &inner.children,
            Body::Leaf(_) | Body::Chunks(_) => &[],
        }
    }

    /// Names and kinds of the stored objects that this node refers to directly. Children that are
    /// only in memory are omitted (a decoded node has none).
    pub fn children(&self) -> Vec<(Blobref, ObjectKind)> {
        match &self.body {
            Body::Inner(inner) => inner
                .children
                .iter()
                .filter_map(|child| child.link.stored())
                .collect(),
            Body::Leaf(leaf) => leaf
                .entries
                .iter()
                .filter_map(|(_, entry)| entry.stored())
                .collect(),
            Body::Chunks(chunks) => chunks
                .children
                .iter()
                .filter_map(|piece| match &piece.link {
                    PieceLink::Chunk(link) => link.stored(),
                    PieceLink::Node(link) => link.stored(),
                })
                .collect(),
        }
    }

    /// Approximate memory of this node, in bytes, without what it refers to. Costs O(entries).
    pub fn memory_size(&self) -> usize {
        let body = match &self.body {
            Body::Leaf(leaf) => leaf
                .entries
                .iter()
                .map(|(name, entry)| {
                    let inline = match entry {
                        Entry::Value(Value(Content::Inline(bytes))) => bytes.outside(),
                        Entry::Symlink(link) => link.target.len(),
                        _ => 0,
                    };
                    size_of::<(Name, Entry)>() + name.len() + inline
                })
                .sum(),
            Body::Inner(inner) => inner
                .children
                .iter()
                .map(|child| size_of::<Child>() + child.first.len())
                .sum(),
            Body::Chunks(chunks) => chunks.children.len() * size_of::<Piece>(),
        };
        size_of::<Node>() + body
    }
}

impl NodeRef {
    fn stored(&self) -> Option<(Blobref, ObjectKind)> {
        match self {
            NodeRef::Stored(blobref) => Some((*blobref, ObjectKind::Node)),
            NodeRef::Loaded(_) => None,
        }
    }
}

impl ChunkLink {
    fn stored(&self) -> Option<(Blobref, ObjectKind)> {
        match self {
            ChunkLink::Stored(blobref) => Some((*blobref, ObjectKind::Blob)),
            ChunkLink::Loaded(_) => None,
        }
    }
}

impl Entry {
    fn stored(&self) -> Option<(Blobref, ObjectKind)> {
        match self {
            Entry::Directory(directory) => directory.link.stored(),
            Entry::Value(Value(Content::Tree { link, .. })) => link.stored(),
            Entry::Value(Value(Content::Blob { link, .. })) => link.stored(),
            Entry::Value(Value(Content::Inline(_))) | Entry::Symlink(_) => None,
        }
    }
}
