//! Blobs: immutable objects under their hashes, in packs.
//!
//! What every answer means is in RFC 0009.

mod error;

mod staged;

mod joined;

mod api;

pub use api::{BlobPin, BlobStore, PackInfo, PackWriter, SpaceClaim};
pub use error::{PackId, StoreError};
pub use joined::Joined;
pub(crate) use joined::Unused;
pub use staged::Staged;
