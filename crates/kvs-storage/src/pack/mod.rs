//! The blob store: objects under their hashes, in immutable files called packs.
//!
//! Bottom up: the bytes of a pack (`format`), where each object lies (`index`), a pack in use (`file`), writing one
//! (`writer`), objects that wait for one (`staged`, `join`), all of them (`store`). Formats and rules: RFC 0004.

mod error;

mod format;

mod index;

mod file;

mod staged;

mod writer;

mod join;

mod api;

mod memory;

mod store;

#[cfg(test)]
mod tests;

pub use api::{BlobStore, PackInfo, PackWriter, SharedBlobStore};
pub use error::{PackId, StoreError};
pub use format::PACK_FORMAT;
pub use join::Joined;
pub use memory::MemoryBlobStore;
pub use staged::Staged;
pub use store::PackStore;
