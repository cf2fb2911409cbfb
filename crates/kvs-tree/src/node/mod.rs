//! Tree objects in memory: nodes of directories and of chunk trees, linked by hash (stored) or by
//! pointer (new or changed, and not yet written). All nodes are shared and copied on write; the
//! hash of a node is computed once, on demand.
//!
//! These types refer to each other, so they share one module; the modules below implement
//! operations on them.

pub(crate) mod chunk;

pub(crate) mod inline;

pub(crate) mod name;

mod facts;

mod encode;

mod decode;

pub(crate) mod walk;

use crate::hash::Blobref;
use crate::limits::{NAME_BYTES, SMALL_CHUNK};
use chunk::Chunk;
use inline::Inline;
use name::Name;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The kind of object that a blobref names, which determines how its bytes are decoded.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum ObjectKind {
    /// A tree object: the canonical encoding of a [`Node`].
    Node,
    /// Raw bytes of a value.
    Blob,
}

/// Totals of a directory including everything below it. Stored in its nodes, so reading them needs
/// no walk.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Entries at all levels below, including directories. A subtree that occurs twice counts
    /// twice.
    pub entries: u64,
    /// Lengths of all values below, in bytes.
    pub bytes: u64,
    /// Directory levels, including this one: 1 for a directory without subdirectories.
    pub depth: u32,
}

/// What a name in a directory refers to.
#[derive(Clone, Debug)]
pub enum Entry {
    /// Opaque bytes.
    Value(Value),
    /// A subdirectory.
    Directory(Directory),
    /// A symbolic link, not resolved.
    Symlink(Symlink),
}

/// A symbolic link: a key in this namespace or in another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Symlink {
    /// The namespace of the target; `None` for the link's own.
    pub namespace: Option<SmolStr>,
    /// The normalised text of the target key.
    pub target: SmolStr,
}

/// A directory of any size: a handle that clones in O(1) and is edited by copy-on-write.
#[derive(Clone, Debug)]
pub struct Directory {
    pub(crate) link: NodeRef,
    pub(crate) stats: Stats,
}

/// An opaque value: inline up to `INLINE_BYTES`, one blob up to
/// `SMALL_CHUNK`, a tree of chunks above. Only the length decides, so equal bytes
/// have equal names.
#[derive(Clone, Debug)]
pub struct Value(pub(crate) Content);

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Inline(Inline),
    Blob { len: u64, link: ChunkLink },
    Tree { len: u64, link: NodeRef },
}

/// A reference to a node.
#[derive(Clone)]
pub(crate) enum NodeRef {
    /// By name: loaded from the source.
    Stored(Blobref),
    /// By pointer: needs no source.
    Loaded(Arc<Node>),
}

/// A reference to a chunk, or to the only blob, of a value.
#[derive(Clone)]
pub(crate) enum ChunkLink {
    Stored(Blobref),
    Loaded(Arc<Chunk>),
}

/// A decoded tree object of any kind: a leaf or inner node of a directory, or a node of a chunk
/// tree. Immutable once shared; its name is computed once.
pub struct Node {
    pub(crate) body: Body,
    hash: OnceLock<Blobref>,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Leaf(Leaf),
    Inner(Inner),
    Chunks(Chunks),
}

/// Sorted entries of a directory or of a part of it.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) entries: Vec<(Name, Entry)>,
    /// Always the totals of `entries`.
    pub(crate) stats: Stats,
}

/// Sorted parts of a directory; never empty.
#[derive(Debug)]
pub(crate) struct Inner {
    /// 1 above leaves.
    pub(crate) height: u8,
    pub(crate) children: Vec<Child>,
    /// Always the sum of the children's `len`.
    pub(crate) len: u64,
    /// Always the totals of the children.
    pub(crate) stats: Stats,
    /// The names of the children, once this node has been encoded. A copy takes them from here
    /// instead of from the children, which may be far apart in memory.
    hashes: OnceLock<Box<[Blobref]>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Child {
    /// The first name of the child.
    pub(crate) first: Name,
    pub(crate) link: NodeRef,
    /// The name of the child, if the parent that this was copied from knew it.
    pub(crate) hash: Option<Blobref>,
    /// The number of direct entries of the directory in this part.
    pub(crate) len: u64,
    pub(crate) stats: Stats,
}

/// A node of a chunk tree. Its children are chunks (height 0) or nodes, all full except the last.
/// Never empty.
#[derive(Clone, Debug)]
pub(crate) struct Chunks {
    pub(crate) height: u8,
    pub(crate) children: Vec<Piece>,
    /// Always the sum of the children's lengths.
    pub(crate) len: u64,
}

/// A part of a value and its length in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) link: PieceLink,
    pub(crate) len: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum PieceLink {
    Chunk(ChunkLink),
    Node(NodeRef),
}

/// Whether `name` is a valid entry name: not empty, at most [`NAME_BYTES`] long, without a dot.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES && !name.contains('.')
}

impl Stats {
    /// The totals of a directory without entries.
    pub const EMPTY: Stats = Stats {
        entries: 0,
        bytes: 0,
        depth: 1,
    };

    /// The totals of two parts of one directory together.
    pub(crate) fn join(self, other: Stats) -> Stats {
        Stats {
            entries: self.entries.saturating_add(other.entries),
            bytes: self.bytes.saturating_add(other.bytes),
            depth: self.depth.max(other.depth),
        }
    }
}

impl Entry {
    /// What this entry contributes to the totals of its directory.
    pub(crate) fn stats(&self) -> Stats {
        match self {
            Entry::Value(value) => Stats {
                entries: 1,
                bytes: value.len(),
                depth: 1,
            },
            Entry::Symlink(_) => Stats {
                entries: 1,
                bytes: 0,
                depth: 1,
            },
            Entry::Directory(Directory { stats, .. }) => Stats {
                entries: stats.entries.saturating_add(1),
                bytes: stats.bytes,
                depth: stats.depth.saturating_add(1),
            },
        }
    }
}

impl Value {
    pub(crate) fn inline_bytes(inline: Inline) -> Self {
        Value(Content::Inline(inline))
    }

    /// A stored value of `len` bytes. `blobref` names its only blob or the top node of its chunk
    /// tree. `len` must be more than `INLINE_BYTES`: shorter values are always inline.
    pub fn stored(len: u64, blobref: Blobref) -> Self {
        Value(if len <= SMALL_CHUNK {
            Content::Blob {
                len,
                link: ChunkLink::Stored(blobref),
            }
        } else {
            Content::Tree {
                len,
                link: NodeRef::Stored(blobref),
            }
        })
    }

    /// The length in bytes, without loading anything.
    pub fn len(&self) -> u64 {
        match &self.0 {
            Content::Inline(bytes) => bytes.len() as u64,
            Content::Blob { len, .. } | Content::Tree { len, .. } => *len,
        }
    }

    /// Whether the value has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Leaf {
    pub(crate) fn new(entries: Vec<(Name, Entry)>) -> Self {
        let stats = entries
            .iter()
            .fold(Stats::EMPTY, |stats, (_, entry)| stats.join(entry.stats()));
        Leaf { entries, stats }
    }
}

impl Inner {
    pub(crate) fn new(height: u8, children: Vec<Child>) -> Self {
        let stats = children
            .iter()
            .fold(Stats::EMPTY, |stats, child| stats.join(child.stats));
        let len = children
            .iter()
            .fold(0, |len: u64, child| len.saturating_add(child.len));
        Inner {
            height,
            children,
            len,
            stats,
            hashes: OnceLock::new(),
        }
    }

    /// The names of the children; computed once.
    pub(crate) fn hashes(&self, hash: impl Fn(&Child) -> Blobref) -> &[Blobref] {
        let all = || self.children.iter().map(hash).collect();
        self.hashes.get_or_init(all)
    }

    /// Stores each child's name in the child.
    fn tell(&mut self, hashes: &[Blobref]) {
        for (child, hash) in self.children.iter_mut().zip(hashes) {
            child.hash = Some(*hash);
        }
    }
}

impl Clone for Inner {
    /// A copy for editing: each child carries its name, if this node has computed it.
    fn clone(&self) -> Self {
        let mut copy = Inner {
            children: self.children.clone(),
            hashes: OnceLock::new(),
            ..*self
        };
        if let Some(hashes) = self.hashes.get() {
            copy.tell(hashes);
        }
        copy
    }
}

impl Chunks {
    pub(crate) fn new(height: u8, children: Vec<Piece>) -> Self {
        let len = children
            .iter()
            .fold(0, |len: u64, piece| len.saturating_add(piece.len));
        Chunks {
            height,
            children,
            len,
        }
    }
}

impl Node {
    pub(crate) fn new(body: Body) -> Self {
        Node {
            body,
            hash: OnceLock::new(),
        }
    }

    /// The body, for editing; invalidates the hash.
    pub(crate) fn body_mut(&mut self) -> &mut Body {
        self.hash.take();
        if let Body::Inner(inner) = &mut self.body
            && let Some(hashes) = inner.hashes.take()
        {
            inner.tell(&hashes);
        }
        &mut self.body
    }
}

impl Clone for Node {
    /// A copy for editing, without a hash.
    fn clone(&self) -> Self {
        Node::new(self.body.clone())
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.body, f)
    }
}

impl fmt::Debug for NodeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeRef::Stored(blobref) => fmt::Display::fmt(blobref, f),
            NodeRef::Loaded(_) => f.write_str("(in memory)"),
        }
    }
}

impl fmt::Debug for ChunkLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChunkLink::Stored(blobref) => fmt::Display::fmt(blobref, f),
            ChunkLink::Loaded(chunk) => write!(f, "({} bytes in memory)", chunk.len()),
        }
    }
}
