//! Blobs: immutable objects stored under their hashes, in packs.
//!
//! RFC 0009 specifies the meaning of every result.

mod error;

mod staged;

mod joined;

mod api;

pub use api::{BlobPin, BlobStore, PackInfo, PackWriter, SpaceClaim};
pub use error::{PackId, StoreError};
pub use joined::Joined;
pub(crate) use joined::Unused;
pub use staged::Staged;
