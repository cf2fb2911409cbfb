//! Chunk trees: the chunks of a long value, in order, grouped by index into nodes of
//! [`CHUNK_FAN_OUT`], so that all nodes except those on the right edge are full.

use super::layout::{chunk_at, chunk_index};
use crate::error::{TreeError, TreeErrorKind};
use crate::hash::{Blobref, HashAlgorithm, StoreParams};
use crate::limits::CHUNK_FAN_OUT;
use crate::node::chunk::Chunk;
use crate::node::{Body, ChunkLink, Chunks, Node, NodeRef, ObjectKind, Piece, PieceLink};
use crate::source::{Ctx, Fault, Missing, NodeSource};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;

/// Splits bytes that start at `offset`, a chunk boundary, into pieces.
pub(super) fn cut(mut offset: u64, mut bytes: Bytes) -> impl Iterator<Item = Piece> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let size = chunk_at(offset).end - offset;
        offset += size;
        let part = bytes.split_to(bytes.len().min(size as usize));
        Some(piece(Chunk::new(part)))
    })
}

pub(super) fn piece(chunk: Chunk) -> Piece {
    let len = chunk.len() as u64;
    Piece {
        link: PieceLink::Chunk(ChunkLink::Loaded(Arc::new(chunk))),
        len,
    }
}

/// The top node of a tree of `pieces`.
pub(super) fn build(pieces: impl Iterator<Item = Piece>) -> NodeRef {
    let mut pieces: Vec<Piece> = pieces.collect();
    let mut height = 0;
    loop {
        let mut nodes: Vec<Piece> = Vec::with_capacity(pieces.len() / CHUNK_FAN_OUT + 1);
        let mut rest = pieces.into_iter();
        loop {
            let group: Vec<Piece> = rest.by_ref().take(CHUNK_FAN_OUT).collect();
            if group.is_empty() && !nodes.is_empty() {
                break;
            }
            nodes.push(node_piece(Chunks::new(height, group)));
        }
        pieces = nodes;
        if let [
            Piece {
                link: PieceLink::Node(top),
                ..
            },
        ] = pieces.as_slice()
        {
            return top.clone();
        }
        height += 1;
    }
}

fn node_piece(chunks: Chunks) -> Piece {
    let len = chunks.len;
    Piece {
        link: PieceLink::Node(NodeRef::Loaded(Arc::new(Node::new(Body::Chunks(chunks))))),
        len,
    }
}

/// Appends to the tree `top` of a value of `len` bytes: fills the last chunk, then adds chunks.
pub(super) fn append(
    top: &mut NodeRef,
    len: u64,
    ctx: &Ctx<'_>,
    more: &Bytes,
) -> Result<(), Fault> {
    let room = chunk_at(len.saturating_sub(1)).end - len;
    let fill = more.slice(..more.len().min(room as usize));
    let rest = more.slice(fill.len()..);
    if !fill.is_empty() {
        extend_last(top.edit(ctx.source)?, ctx, &fill)?;
    }
    let mut offset = len + fill.len() as u64;
    for piece in cut(offset, rest) {
        let added = piece.len;
        push(top, piece, chunk_index(offset), ctx)?;
        offset += added;
    }
    Ok(())
}

/// Whether the tree `new` starts with all bytes of the tree `old`. Chunk boundaries depend only on
/// offsets, so each node of `old` must share all children but the last with `new`.
pub(super) fn begins_with(
    new: &NodeRef,
    old: &NodeRef,
    source: &dyn NodeSource,
    params: &StoreParams,
) -> Result<bool, Fault> {
    if new.seal(params) == old.seal(params) {
        return Ok(true);
    }
    let (new, below) = (new.load(source)?, old.load(source)?);
    let (Body::Chunks(new), Body::Chunks(below)) = (&new.body, &below.body) else {
        return Err(damaged());
    };
    if new.height > below.height {
        return match new.children.first().map(|piece| &piece.link) {
            Some(PieceLink::Node(first)) => begins_with(first, old, source, params),
            _ => Err(damaged()),
        };
    }
    let Some((last, full)) = below.children.split_last() else {
        return Ok(true);
    };
    let Some(other) = new.children.get(full.len()) else {
        return Ok(false);
    };
    if new.height < below.height
        || !full
            .iter()
            .zip(&new.children)
            .all(|(a, b)| a.same(b, params))
    {
        return Ok(false);
    }
    match (&last.link, &other.link) {
        (PieceLink::Node(last), PieceLink::Node(other)) => begins_with(other, last, source, params),
        (PieceLink::Chunk(last), PieceLink::Chunk(other)) => {
            if last.seal(params) == other.seal(params) {
                return Ok(true);
            }
            let (last, other) = (last.load(source)?, other.load(source)?);
            Ok(
                last.len() <= other.len()
                    && other.slice(0..last.len()) == last.slice(0..last.len()),
            )
        }
        _ => Err(damaged()),
    }
}

fn extend_last(node: &mut Node, ctx: &Ctx<'_>, more: &Bytes) -> Result<(), Fault> {
    let chunks = node.chunks_mut()?;
    chunks.len += more.len() as u64;
    let Some(last) = chunks.children.last_mut() else {
        return Err(damaged());
    };
    last.len += more.len() as u64;
    match &mut last.link {
        PieceLink::Node(link) => extend_last(link.edit(ctx.source)?, ctx, more),
        PieceLink::Chunk(link) => {
            let chunk = link.load(ctx.source)?;
            *link = extended(&chunk, ctx.params.algorithm, more);
            Ok(())
        }
    }
}

pub(super) fn extended(chunk: &Chunk, algorithm: HashAlgorithm, more: &[u8]) -> ChunkLink {
    ChunkLink::Loaded(Arc::new(chunk.extended(algorithm, more)))
}

/// Adds the chunk with this index, which is the current number of chunks.
fn push(top: &mut NodeRef, piece: Piece, index: u64, ctx: &Ctx<'_>) -> Result<(), Fault> {
    let height = match &top.load(ctx.source)?.body {
        Body::Chunks(chunks) => chunks.height,
        _ => return Err(damaged()),
    };
    let full = capacity(height).saturating_mul(CHUNK_FAN_OUT as u64);
    if index < full {
        return push_below(top.edit(ctx.source)?, height, piece, index, ctx);
    }
    let Body::Chunks(Chunks { len, .. }) = top.load(ctx.source)?.body else {
        return Err(damaged());
    };
    let old = Piece {
        link: PieceLink::Node(top.clone()),
        len,
    };
    let chunks = Chunks::new(height + 1, vec![old, wrapped(piece, height + 1)]);
    *top = NodeRef::Loaded(Arc::new(Node::new(Body::Chunks(chunks))));
    Ok(())
}

fn push_below(
    node: &mut Node,
    height: u8,
    piece: Piece,
    index: u64,
    ctx: &Ctx<'_>,
) -> Result<(), Fault> {
    let chunks = node.chunks_mut()?;
    chunks.len += piece.len;
    let slot = index / capacity(height) % CHUNK_FAN_OUT as u64;
    if slot == chunks.children.len() as u64 {
        chunks.children.push(wrapped(piece, height));
        return Ok(());
    }
    match chunks.children.last_mut() {
        Some(Piece {
            link: PieceLink::Node(link),
            len,
        }) if height > 0 => {
            *len += piece.len;
            push_below(link.edit(ctx.source)?, height - 1, piece, index, ctx)
        }
        _ => Err(damaged()),
    }
}

/// Wraps a chunk into a child for a node of this height.
fn wrapped(piece: Piece, height: u8) -> Piece {
    (0..height).fold(piece, |piece, below| {
        node_piece(Chunks::new(below, vec![piece]))
    })
}

/// The number of chunks below one full child of a node of this height.
fn capacity(height: u8) -> u64 {
    (CHUNK_FAN_OUT as u64).saturating_pow(height.into())
}

/// The result of walking a range of a tree.
#[derive(Default)]
pub(super) struct Found {
    /// The chunks in the range, each with the offsets within it.
    pub(super) chunks: Vec<(ChunkLink, Range<u64>)>,
    /// Nodes that must be loaded before all chunks are known.
    pub(super) missing: Vec<Missing>,
}

impl Found {
    /// Collects the chunks of `range`, which is relative to the start of `link`.
    pub(super) fn walk(
        &mut self,
        link: &NodeRef,
        range: Range<u64>,
        source: &dyn NodeSource,
    ) -> Result<(), Fault> {
        let node = match link.load(source) {
            Ok(node) => node,
            Err(Fault::Missing(missing)) => {
                self.missing.extend(missing);
                return Ok(());
            }
            Err(fault) => return Err(fault),
        };
        let Body::Chunks(chunks) = &node.body else {
            return Err(damaged());
        };
        let mut start = 0;
        for piece in &chunks.children {
            let end = start + piece.len;
            if range.start < end && start < range.end {
                let part = range.start.max(start) - start..range.end.min(end) - start;
                match &piece.link {
                    PieceLink::Node(link) => self.walk(link, part, source)?,
                    PieceLink::Chunk(link) => self.chunks.push((link.clone(), part)),
                }
            }
            start = end;
        }
        Ok(())
    }

    /// The bytes of all found chunks, concatenated. Reports all missing ones at once.
    pub(super) fn read(self, source: &dyn NodeSource) -> Result<Bytes, Fault> {
        let parts = self.pieces(source)?;
        Ok(match parts.as_slice() {
            [part] => part.clone(),
            parts => parts.concat().into(),
        })
    }

    /// The bytes of all found chunks as stored, not concatenated.
    pub(super) fn pieces(mut self, source: &dyn NodeSource) -> Result<Vec<Bytes>, Fault> {
        let mut parts: Vec<Bytes> = Vec::with_capacity(self.chunks.len());
        for (link, range) in &self.chunks {
            let range = range.start as usize..range.end as usize;
            match link {
                ChunkLink::Loaded(chunk) => parts.push(chunk.slice(range)),
                ChunkLink::Stored(blobref) => match source.blob(blobref) {
                    Some(bytes) if range.end <= bytes.len() => parts.push(bytes.slice(range)),
                    Some(_) => return Err(damaged()),
                    None => {
                        let blobref = *blobref;
                        self.missing.push(Missing {
                            blobref,
                            kind: ObjectKind::Blob,
                        });
                    }
                },
            }
        }
        if !self.missing.is_empty() {
            return Err(Fault::Missing(self.missing));
        }
        Ok(parts)
    }

    /// The names of all found chunks.
    pub(super) fn names(self, params: &StoreParams) -> Result<Vec<Blobref>, Fault> {
        if !self.missing.is_empty() {
            return Err(Fault::Missing(self.missing));
        }
        Ok(self
            .chunks
            .iter()
            .map(|(link, _)| link.seal(params))
            .collect())
    }
}

impl Piece {
    fn same(&self, other: &Piece, params: &StoreParams) -> bool {
        match (&self.link, &other.link) {
            (PieceLink::Node(a), PieceLink::Node(b)) => a.seal(params) == b.seal(params),
            (PieceLink::Chunk(a), PieceLink::Chunk(b)) => a.seal(params) == b.seal(params),
            _ => false,
        }
    }
}

impl Node {
    fn chunks_mut(&mut self) -> Result<&mut Chunks, Fault> {
        match self.body_mut() {
            Body::Chunks(chunks) => Ok(chunks),
            _ => Err(damaged()),
        }
    }
}

fn damaged() -> Fault {
    let message = "a value's chunk tree does not fit its length";
    TreeError::new(TreeErrorKind::Corrupt, message).into()
}
