//! Values of any length: inline, one blob or a tree of chunks, depending only on the length. An
//! append costs the appended bytes, a range read costs the range. New data stays in memory until it
//! is emitted for writing.

mod layout;

mod tree;

use crate::error::{TreeError, TreeErrorKind};
use crate::hash::{Blobref, StoreParams};
use crate::limits::{INLINE_BYTES, SMALL_CHUNK, VALUE_BYTES};
use crate::node::chunk::Chunk;
use crate::node::inline::Inline;
use crate::node::walk::{Detacher, Emitter};
use crate::node::{ChunkLink, Content, ObjectKind, Value};
use crate::source::{Ctx, Fault, NodeSource};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use tree::Found;

impl Value {
    /// A value of `bytes`. Short values are copied, so that they do not keep the input buffer
    /// alive; longer ones are split without copying. Costs O(chunks); nothing is hashed yet.
    pub fn new(_params: &StoreParams, bytes: Bytes) -> Self {
        let len = bytes.len() as u64;
        if bytes.len() <= INLINE_BYTES {
            Value::inline_bytes(Inline::new(&bytes, || Bytes::copy_from_slice(&bytes)))
        } else if len <= SMALL_CHUNK {
            let link = ChunkLink::Loaded(Arc::new(Chunk::new(bytes)));
            Value(Content::Blob { len, link })
        } else {
            Value(Content::Tree {
                len,
                link: tree::build(tree::cut(0, bytes)),
            })
        }
    }

    /// Whether the value is stored in its directory's leaf.
    pub fn is_inline(&self) -> bool {
        matches!(self.0, Content::Inline(_))
    }

    /// The bytes, borrowed, if the value is inline.
    pub fn in_place(&self) -> Option<&[u8]> {
        match &self.0 {
            Content::Inline(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The bytes as a buffer, if the value is inline. Very short ones are copied.
    pub fn inline(&self) -> Option<Bytes> {
        match &self.0 {
            Content::Inline(bytes) => Some(bytes.to_bytes()),
            _ => None,
        }
    }

    /// The name of the blob or of the top node of the chunk tree; `None` if the value is inline.
    /// Hashes what has no hash yet.
    pub fn blobref(&self, params: &StoreParams) -> Option<Blobref> {
        match &self.0 {
            Content::Inline(_) => None,
            Content::Blob { link, .. } => Some(link.seal(params)),
            Content::Tree { link, .. } => Some(link.seal(params)),
        }
    }

    /// Appends bytes. Costs the appended bytes and one path of the chunk tree; the last chunk is
    /// read once if it is stored. Refuses ([`TreeErrorKind::TooBig`]) to exceed [`VALUE_BYTES`]. On
    /// an error the value is unspecified.
    pub fn append(&mut self, ctx: &Ctx<'_>, more: &Bytes) -> Result<(), Fault> {
        let added = more.len() as u64;
        if added > VALUE_BYTES.saturating_sub(self.len()) {
            let message = format!("a value would be longer than {VALUE_BYTES} bytes");
            return Err(TreeError::new(TreeErrorKind::TooBig, message).into());
        }
        match &mut self.0 {
            _ if added == 0 => {}
            Content::Inline(bytes) => {
                *self = Value::new(ctx.params, [bytes, more.as_ref()].concat().into());
            }
            Content::Blob { len, link } => {
                let chunk = link.load(ctx.source)?;
                let fill = more.slice(..more.len().min((SMALL_CHUNK - *len) as usize));
                let chunk = chunk.extended(ctx.params.algorithm, &fill);
                let rest = more.slice(fill.len()..);
                let len = *len + added;
                self.0 = if rest.is_empty() {
                    Content::Blob {
                        len,
                        link: ChunkLink::Loaded(Arc::new(chunk)),
                    }
                } else {
                    let first = std::iter::once(tree::piece(chunk));
                    let link = tree::build(first.chain(tree::cut(SMALL_CHUNK, rest)));
                    Content::Tree { len, link }
                };
            }
            Content::Tree { len, link } => {
                tree::append(link, *len, ctx, more)?;
                *len += added;
            }
        }
        Ok(())
    }

    /// The bytes in `range`, which is clamped to the value. Accesses only the chunks of the range
    /// and reports all missing ones at once.
    pub fn read(&self, source: &dyn NodeSource, range: Range<u64>) -> Result<Bytes, Fault> {
        let end = range.end.min(self.len());
        let range = range.start.min(end)..end;
        match &self.0 {
            Content::Inline(bytes) => {
                let range = range.start as usize..range.end as usize;
                Ok(bytes.to_bytes().slice(range))
            }
            _ => self.find(range, source)?.read(source),
        }
    }

    /// Like [`read`](Self::read), but returns the pieces as they are stored instead of
    /// concatenating them.
    pub fn pieces(&self, source: &dyn NodeSource, range: Range<u64>) -> Result<Vec<Bytes>, Fault> {
        let end = range.end.min(self.len());
        let range = range.start.min(end)..end;
        match &self.0 {
            Content::Inline(_) => Ok(vec![self.read(source, range)?]),
            _ => self.find(range, source)?.pieces(source),
        }
    }

    /// Whether this value starts with all bytes of `old`, that is, whether appends could have
    /// produced it. Costs one path of each chunk tree and the last chunk of `old`; shared parts are
    /// not read.
    pub fn begins_with(
        &self,
        old: &Value,
        source: &dyn NodeSource,
        params: &StoreParams,
    ) -> Result<bool, Fault> {
        if old.len() > self.len() {
            return Ok(false);
        }
        match (&self.0, &old.0) {
            (Content::Tree { link: new, .. }, Content::Tree { link: old, .. }) => {
                tree::begins_with(new, old, source, params)
            }
            _ => Ok(self.read(source, 0..old.len())? == old.read(source, 0..old.len())?),
        }
    }

    /// The names of the blobs that make up the value, in order; empty if it is inline. Costs
    /// O(chunks).
    pub fn blobs(
        &self,
        source: &dyn NodeSource,
        params: &StoreParams,
    ) -> Result<Vec<Blobref>, Fault> {
        self.find(0..self.len(), source)?.names(params)
    }

    fn find(&self, range: Range<u64>, source: &dyn NodeSource) -> Result<Found, Fault> {
        let mut found = Found::default();
        match &self.0 {
            Content::Inline(_) => {}
            Content::Blob { link, .. } => found.chunks.push((link.clone(), range)),
            Content::Tree { link, .. } => found.walk(link, range, source)?,
        }
        Ok(found)
    }

    /// Emits every object that is only in memory and for which `is_written` is false, once each,
    /// children before parents. Does not descend into written ones.
    pub fn unwritten(
        &self,
        params: &StoreParams,
        is_written: &dyn Fn(&Blobref) -> bool,
        emit: &mut dyn FnMut(Blobref, ObjectKind, Bytes),
    ) {
        Emitter::new(params, is_written, emit).value(self);
    }

    /// The same value with written objects replaced by their names, to free their memory.
    pub fn detach(&self, params: &StoreParams, is_written: &dyn Fn(&Blobref) -> bool) -> Value {
        Detacher::new(*params, is_written).value(self)
    }

    /// Whether both values have the same bytes. Compares lengths, then names; hashes what has no
    /// hash yet.
    pub fn same(&self, other: &Value, params: &StoreParams) -> bool {
        match (&self.0, &other.0) {
            (Content::Inline(one), Content::Inline(two)) => **one == **two,
            _ => self.len() == other.len() && self.blobref(params) == other.blobref(params),
        }
    }
}

#[cfg(test)]
mod tests;
