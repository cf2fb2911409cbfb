//! The blob store: objects under their hashes, in immutable files called packs.
//!
//! `api` says what a blob store is, `memory` is one for tests, the rest is the one on disk, bottom up:
//! the bytes of a pack (`format`), where each object lies (`index`), a pack in use (`file`), writing one
//! (`writer`), all of them (`store`). Formats and rules: RFC 0004.

mod error;

mod api;

mod memory;

mod format;

mod index;

mod file;

mod writer;

mod store;

#[cfg(test)]
mod tests;

pub use api::{BlobStore, PackInfo, PackWriter, SharedBlobStore};
pub use error::{PackId, StoreError};
pub use format::PACK_FORMAT;
pub use memory::MemoryBlobStore;
pub use store::PackStore;
