//! Values of any length.

use crate::hash::{Blobref, StoreParams};
use crate::node::{ObjectKind, Value};
use crate::source::{Ctx, Fault, NodeSource};
use bytes::Bytes;
use std::ops::Range;

impl Value {
    /// A value of these bytes. Long values are cut without copying. Cost O(chunks); no hash is computed.
    pub fn new(params: &StoreParams, bytes: Bytes) -> Self {
        let _ = (params, bytes);
        todo!()
    }

    /// A stored value by its length and name; `len` must be more than [`crate::INLINE_BYTES`].
    pub fn stored(len: u64, blobref: Blobref) -> Self {
        let _ = (len, blobref);
        todo!()
    }

    /// The bytes, if the value is inline.
    pub fn inline(&self) -> Option<&Bytes> {
        todo!()
    }

    /// The name of the blob or of the top of the chunk tree; `None` if the value is inline.
    pub fn blobref(&self, params: &StoreParams) -> Option<Blobref> {
        let _ = params;
        todo!()
    }

    /// Adds bytes at the end. Costs what is appended and one path of the chunk tree.
    pub fn append(&mut self, ctx: &Ctx<'_>, more: &Bytes) -> Result<(), Fault> {
        let _ = (ctx, more);
        todo!()
    }

    /// These bytes, as far as there are any. Touches the chunks of the range only; reports all missing ones at once.
    pub fn read(&self, source: &dyn NodeSource, range: Range<u64>) -> Result<Bytes, Fault> {
        let _ = (source, range);
        todo!()
    }

    /// The names of the blobs whose bytes in this order are the value; none if it is inline.
    pub fn blobs(
        &self,
        source: &dyn NodeSource,
        params: &StoreParams,
    ) -> Result<Vec<Blobref>, Fault> {
        let _ = (source, params);
        todo!()
    }

    /// Emits every object that is only in memory and that `is_written` does not know, children before parents.
    pub fn unwritten(
        &self,
        params: &StoreParams,
        is_written: &dyn Fn(&Blobref) -> bool,
        emit: &mut dyn FnMut(Blobref, ObjectKind, Bytes),
    ) {
        let _ = (params, is_written, emit);
        todo!()
    }

    /// The same value with written objects referred to by name.
    pub fn detach(&self, params: &StoreParams, is_written: &dyn Fn(&Blobref) -> bool) -> Value {
        let _ = (params, is_written);
        todo!()
    }

    /// Whether both have the same bytes. Compares lengths and hashes.
    pub fn same(&self, other: &Value, params: &StoreParams) -> bool {
        let _ = (other, params);
        todo!()
    }
}
