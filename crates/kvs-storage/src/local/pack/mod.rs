//! The blobs of a store on a local disk: objects under their hashes, in immutable files called
//! packs.
//!
//! Bottom up: the bytes of a pack (`format`), where each object lies (`index`), a pack in use
//! (`file`), objects that wait for one (`scratch`), writing one (`writer`), packs of what was
//! staged (`join`), all of them (`packs`), and as the seam has them (`store`). Formats and rules:
//! RFC 0004.

mod format;

mod index;

mod file;

mod scratch;

mod writer;

mod join;

mod pins;

mod packs;

mod store;

#[cfg(test)]
mod tests;

pub(super) use store::PackStore;
