//! The canonical encoding of nodes, field by field as in RFC 0001, and their names, which are the
//! hashes of it. A parent's encoding contains the names of its children, so both are computed
//! together, once per changed node.

use crate::hash::{Blobref, StoreParams};
use crate::node::{
    Body, Child, ChunkLink, Content, Directory, Entry, Node, NodeRef, PieceLink, Stats, Value,
};
use bytes::Bytes;

/// The first element of a node: its kind.
pub(crate) const LEAF: u64 = 0;
pub(crate) const INNER: u64 = 1;
pub(crate) const CHUNKS: u64 = 2;

/// The first element of an entry that is an array: its kind. An inline value is encoded as its
/// bytes, not as an array.
pub(crate) const VALUE: u64 = 0;
pub(crate) const DIRECTORY: u64 = 1;
pub(crate) const SYMLINK: u64 = 2;

impl Node {
    /// The canonical encoding. Hashes the changed nodes below first.
    pub fn encode(&self, params: &StoreParams) -> Bytes {
        let mut out = Writer(Vec::with_capacity(4096));
        match &self.body {
            Body::Leaf(leaf) => {
                out.array(2);
                out.uint(LEAF);
                out.map(leaf.entries.len());
                for (name, entry) in &leaf.entries {
                    out.str(name);
                    out.entry(entry, params);
                }
            }
            Body::Inner(inner) => {
                out.array(3);
                out.uint(INNER);
                out.uint(inner.height.into());
                out.array(inner.children.len());
                let hashes = inner.hashes(|child| child.seal(params));
                for (child, hash) in inner.children.iter().zip(hashes) {
                    out.array(6);
                    out.str(&child.first);
                    out.bin(hash.digest());
                    out.uint(child.len);
                    out.stats(&child.stats);
                }
            }
            Body::Chunks(chunks) => {
                out.array(3);
                out.uint(CHUNKS);
                out.uint(chunks.height.into());
                out.array(chunks.children.len());
                for piece in &chunks.children {
                    out.array(2);
                    out.bin(piece.link.seal(params).digest());
                    out.uint(piece.len);
                }
            }
        }
        out.0.into()
    }

    /// The node's name: the hash of its encoding. Computed once; costs O(changed nodes below).
    pub fn seal(&self, params: &StoreParams) -> Blobref {
        *self
            .hash
            .get_or_init(|| Blobref::of(params.algorithm, &self.encode(params)))
    }
}

impl NodeRef {
    pub(crate) fn seal(&self, params: &StoreParams) -> Blobref {
        match self {
            NodeRef::Stored(blobref) => *blobref,
            NodeRef::Loaded(node) => node.seal(params),
        }
    }
}

impl Child {
    pub(crate) fn seal(&self, params: &StoreParams) -> Blobref {
        self.hash.unwrap_or_else(|| self.link.seal(params))
    }
}

impl ChunkLink {
    pub(crate) fn seal(&self, params: &StoreParams) -> Blobref {
        match self {
            ChunkLink::Stored(blobref) => *blobref,
            ChunkLink::Loaded(chunk) => chunk.seal(params.algorithm),
        }
    }
}

impl PieceLink {
    pub(crate) fn seal(&self, params: &StoreParams) -> Blobref {
        match self {
            PieceLink::Chunk(link) => link.seal(params),
            PieceLink::Node(link) => link.seal(params),
        }
    }
}

/// Writes MessagePack to memory, which cannot fail, so the results of `rmp` are dropped, here and
/// nowhere else. No text or value is longer than 2^32 bytes.
struct Writer(Vec<u8>);

impl Writer {
    fn entry(&mut self, entry: &Entry, params: &StoreParams) {
        match entry {
            Entry::Value(Value(Content::Inline(bytes))) => self.bin(bytes),
            Entry::Value(Value(Content::Blob { len, link })) => {
                self.stored_value(*len, link.seal(params));
            }
            Entry::Value(Value(Content::Tree { len, link })) => {
                self.stored_value(*len, link.seal(params));
            }
            Entry::Directory(Directory { link, stats }) => {
                self.array(5);
                self.uint(DIRECTORY);
                self.bin(link.seal(params).digest());
                self.stats(stats);
            }
            Entry::Symlink(link) => {
                self.array(if link.namespace.is_some() { 3 } else { 2 });
                self.uint(SYMLINK);
                self.str(&link.target);
                if let Some(namespace) = &link.namespace {
                    self.str(namespace);
                }
            }
        }
    }

    fn stored_value(&mut self, len: u64, blobref: Blobref) {
        self.array(3);
        self.uint(VALUE);
        self.bin(blobref.digest());
        self.uint(len);
    }

    fn stats(&mut self, stats: &Stats) {
        self.uint(stats.entries);
        self.uint(stats.bytes);
        self.uint(stats.depth.into());
    }

    // The common forms take one byte and are written directly: an entry has half a dozen of them.

    fn uint(&mut self, number: u64) {
        match number {
            0..0x80 => self.0.push(number as u8),
            _ => drop(rmp::encode::write_uint(&mut self.0, number)),
        }
    }

    fn str(&mut self, text: &str) {
        match text.len() {
            len @ 0..0x20 => self.0.push(0xa0 | len as u8),
            len => drop(rmp::encode::write_str_len(&mut self.0, len as u32)),
        }
        self.0.extend_from_slice(text.as_bytes());
    }

    fn bin(&mut self, bytes: &[u8]) {
        match bytes.len() {
            len @ 0..0x100 => self.0.extend_from_slice(&[0xc4, len as u8]),
            len => drop(rmp::encode::write_bin_len(&mut self.0, len as u32)),
        }
        self.0.extend_from_slice(bytes);
    }

    /// Nodes have far fewer than 2^32 elements.
    fn array(&mut self, len: usize) {
        match len {
            0..0x10 => self.0.push(0x90 | len as u8),
            _ => drop(rmp::encode::write_array_len(&mut self.0, len as u32)),
        }
    }

    fn map(&mut self, len: usize) {
        rmp::encode::write_map_len(&mut self.0, len as u32).ok();
    }
}
