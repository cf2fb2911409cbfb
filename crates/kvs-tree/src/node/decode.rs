//! Strict decoding of nodes: accepts exactly what the encoder writes, so one content has one name.
//! Checks lengths against the limits before allocating.

use crate::error::{TreeError, TreeErrorKind};
use crate::hash::{Blobref, HashAlgorithm, StoreParams};
use crate::limits::{CHUNK_FAN_OUT, HEIGHT_MAX, INLINE_BYTES, INNER_MAX, LEAF_MAX, NAME_BYTES};
use crate::node::encode::{CHUNKS, DIRECTORY, INNER, LEAF, SYMLINK, VALUE};
use crate::node::inline::Inline;
use crate::node::name::Name;
use crate::node::{
    Body, Child, ChunkLink, Chunks, Directory, Entry, Inner, Leaf, Node, NodeRef, Piece, PieceLink,
    Stats, Symlink, Value, is_name,
};
use bytes::Bytes;
use rmp::Marker;
use rmp::decode;
use smol_str::SmolStr;

impl Node {
    /// Decodes a tree object. Refuses ([`TreeErrorKind::Corrupt`]) bytes that are not in canonical
    /// form. Short inline values are copied, others are slices of `bytes`. Costs O(bytes); nothing
    /// is hashed.
    pub fn decode(algorithm: HashAlgorithm, bytes: &Bytes) -> Result<Node, TreeError> {
        let decoded = Reader {
            all: bytes,
            rest: bytes,
            algorithm,
        }
        .node();
        // The split key is not needed: a decoded node has only stored links.
        let params = StoreParams {
            algorithm,
            split_key: [0; 32],
        };
        decoded
            .filter(|node| node.encode(&params) == *bytes)
            .ok_or_else(|| {
                TreeError::new(
                    TreeErrorKind::Corrupt,
                    "a tree object is not in canonical form",
                )
            })
    }
}

/// Reads from `rest`, which is a suffix of `all`. Returns `None` on any deviation.
struct Reader<'a> {
    all: &'a Bytes,
    rest: &'a [u8],
    algorithm: HashAlgorithm,
}

impl<'a> Reader<'a> {
    fn node(&mut self) -> Option<Node> {
        let fields = decode::read_array_len(&mut self.rest).ok()?;
        let body = match (self.uint()?, fields) {
            (LEAF, 2) => Body::Leaf(self.leaf()?),
            (INNER, 3) => Body::Inner(self.inner()?),
            (CHUNKS, 3) => Body::Chunks(self.chunks()?),
            _ => return None,
        };
        self.rest.is_empty().then(|| Node::new(body))
    }

    fn leaf(&mut self) -> Option<Leaf> {
        let count = decode::read_map_len(&mut self.rest).ok()? as usize;
        let mut entries: Vec<(Name, Entry)> = Vec::with_capacity(within(count, 0, LEAF_MAX)?);
        for _ in 0..count {
            let name = self.name()?;
            if entries.last().is_some_and(|(last, _)| *last >= name) {
                return None;
            }
            entries.push((name, self.entry()?));
        }
        Some(Leaf::new(entries))
    }

    fn inner(&mut self) -> Option<Inner> {
        let height = u8::try_from(self.uint()?).ok()?;
        within(height.into(), 1, HEIGHT_MAX.into())?;
        let count = decode::read_array_len(&mut self.rest).ok()? as usize;
        let mut children: Vec<Child> = Vec::with_capacity(within(count, 1, INNER_MAX)?);
        for _ in 0..count {
            self.fields(6)?;
            let first = self.name()?;
            if children.last().is_some_and(|last| last.first >= first) {
                return None;
            }
            let link = NodeRef::Stored(self.blobref()?);
            let len = self.uint()?;
            let stats = self.stats()?;
            if len == 0 || len > stats.entries {
                return None;
            }
            children.push(Child {
                first,
                link,
                hash: None,
                len,
                stats,
            });
        }
        Some(Inner::new(height, children))
    }

    fn chunks(&mut self) -> Option<Chunks> {
        let height = u8::try_from(self.uint()?).ok()?;
        within(height.into(), 0, HEIGHT_MAX.into())?;
        let count = decode::read_array_len(&mut self.rest).ok()? as usize;
        let mut children = Vec::with_capacity(within(count, 1, CHUNK_FAN_OUT)?);
        for _ in 0..count {
            self.fields(2)?;
            let blobref = self.blobref()?;
            let link = match height {
                0 => PieceLink::Chunk(ChunkLink::Stored(blobref)),
                _ => PieceLink::Node(NodeRef::Stored(blobref)),
            };
            children.push(Piece {
                link,
                len: self.value_len(1)?,
            });
        }
        Some(Chunks::new(height, children))
    }

    fn entry(&mut self) -> Option<Entry> {
        if let Marker::Bin8 | Marker::Bin16 | Marker::Bin32 = Marker::from_u8(*self.rest.first()?) {
            let bytes = self.bin(INLINE_BYTES)?;
            let inline = Inline::new(bytes, || self.all.slice_ref(bytes));
            return Some(Entry::Value(Value::inline_bytes(inline)));
        }
        let fields = decode::read_array_len(&mut self.rest).ok()?;
        match (self.uint()?, fields) {
            (VALUE, 3) => {
                let blobref = self.blobref()?;
                let len = self.value_len(INLINE_BYTES as u64 + 1)?;
                Some(Entry::Value(Value::stored(len, blobref)))
            }
            (DIRECTORY, 5) => {
                let link = NodeRef::Stored(self.blobref()?);
                Some(Entry::Directory(Directory {
                    link,
                    stats: self.stats()?,
                }))
            }
            (SYMLINK, 2) => Some(Entry::Symlink(Symlink {
                namespace: None,
                target: self.str(usize::MAX)?,
            })),
            (SYMLINK, 3) => {
                let target = self.str(usize::MAX)?;
                Some(Entry::Symlink(Symlink {
                    namespace: Some(self.str(usize::MAX)?),
                    target,
                }))
            }
            _ => None,
        }
    }

    fn stats(&mut self) -> Option<Stats> {
        let (entries, bytes) = (self.uint()?, self.uint()?);
        let depth = u32::try_from(self.uint()?).ok()?;
        Some(Stats {
            entries,
            bytes,
            depth,
        })
    }

    fn value_len(&mut self, min: u64) -> Option<u64> {
        self.uint().filter(|len| *len >= min)
    }

    fn name(&mut self) -> Option<Name> {
        let text = self.str(NAME_BYTES).filter(|name| is_name(name))?;
        Some(text.into())
    }

    fn fields(&mut self, count: u32) -> Option<()> {
        (decode::read_array_len(&mut self.rest).ok()? == count).then_some(())
    }

    fn blobref(&mut self) -> Option<Blobref> {
        let digest = self.bin(self.algorithm.digest_len())?;
        Blobref::from_digest(self.algorithm, digest)
    }

    fn uint(&mut self) -> Option<u64> {
        decode::read_int(&mut self.rest).ok()
    }

    fn str(&mut self, max: usize) -> Option<SmolStr> {
        let len = decode::read_str_len(&mut self.rest).ok()?;
        let text = self.take(within(len as usize, 0, max)?)?;
        std::str::from_utf8(text).ok().map(SmolStr::new)
    }

    fn bin(&mut self, max: usize) -> Option<&'a [u8]> {
        let len = decode::read_bin_len(&mut self.rest).ok()?;
        self.take(within(len as usize, 0, max)?)
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }
}

fn within(number: usize, min: usize, max: usize) -> Option<usize> {
    (min..=max).contains(&number).then_some(number)
}
