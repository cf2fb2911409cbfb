//! The blob store on a local disk: objects under their hashes, in immutable files called packs.
//!
//! Bottom up: the encoding of a pack (`format`), the locations of objects (`index`), a pack in use
//! (`file`), staged objects (`scratch`), writing a pack (`writer`), joining staged objects into
//! packs (`join`), pins (`pins`), all packs (`packs`), and the implementation of the seam
//! (`store`). RFC 0004 specifies formats and rules.

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
