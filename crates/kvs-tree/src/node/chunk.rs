//! Chunks of a value in memory. The last chunk of a value that is appended to lives in a growing
//! buffer shared by all versions of the value, each with its own length. It carries its hash in
//! progress, so an append costs only the bytes that it adds.

use crate::hash::{Blobref, GrowingHash, HashAlgorithm};
use bytes::Bytes;
use std::ops::Range;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// Bytes of a value that form one blob. Immutable.
pub(crate) struct Chunk {
    bytes: ChunkBytes,
    hash: OnceLock<Blobref>,
}

enum ChunkBytes {
    Whole(Bytes),
    Growing {
        buffer: Arc<RwLock<Vec<u8>>>,
        len: usize,
        hash: GrowingHash,
    },
}

impl Chunk {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Chunk {
            bytes: ChunkBytes::Whole(bytes),
            hash: OnceLock::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match &self.bytes {
            ChunkBytes::Whole(bytes) => bytes.len(),
            ChunkBytes::Growing { len, .. } => *len,
        }
    }

    /// A chunk with `more` appended. Costs `more` if `self` has not been extended before, otherwise
    /// also a copy of `self`.
    pub(crate) fn extended(&self, algorithm: HashAlgorithm, more: &[u8]) -> Self {
        let (buffer, mut hash) = match &self.bytes {
            ChunkBytes::Growing { buffer, len, hash } => {
                let mut growing = buffer.write().unwrap_or_else(PoisonError::into_inner);
                if growing.len() == *len {
                    growing.extend_from_slice(more);
                    drop(growing);
                    (buffer.clone(), hash.clone())
                } else {
                    let copy = [growing.get(..*len).unwrap_or_default(), more].concat();
                    (Arc::new(RwLock::new(copy)), hash.clone())
                }
            }
            ChunkBytes::Whole(bytes) => {
                let mut hash = GrowingHash::new(algorithm);
                hash.update(bytes);
                (Arc::new(RwLock::new([bytes, more].concat())), hash)
            }
        };
        hash.update(more);
        let bytes = ChunkBytes::Growing {
            buffer,
            len: self.len() + more.len(),
            hash,
        };
        Chunk {
            bytes,
            hash: OnceLock::new(),
        }
    }

    /// The bytes in `range`, which is clamped to the chunk. Copies only while the chunk is growing.
    pub(crate) fn slice(&self, range: Range<usize>) -> Bytes {
        let end = range.end.min(self.len());
        let range = range.start.min(end)..end;
        match &self.bytes {
            ChunkBytes::Whole(bytes) => bytes.slice(range),
            ChunkBytes::Growing { buffer, .. } => {
                let growing = buffer.read().unwrap_or_else(PoisonError::into_inner);
                Bytes::copy_from_slice(growing.get(range).unwrap_or_default())
            }
        }
    }

    /// All bytes, as by [`slice`](Self::slice).
    pub(crate) fn bytes(&self) -> Bytes {
        self.slice(0..self.len())
    }

    /// The chunk's blobref; computed once.
    pub(crate) fn seal(&self, algorithm: HashAlgorithm) -> Blobref {
        *self.hash.get_or_init(|| match &self.bytes {
            ChunkBytes::Whole(bytes) => Blobref::of(algorithm, bytes),
            ChunkBytes::Growing { hash, .. } => hash.blobref(),
        })
    }
}
