//! An in-memory store that behaves as badly as RFC 0009 allows: a new owner fences the previous
//! one, appends arrive late or never, answers are lost, and unsynced groups vanish when the owner
//! changes.
//!
//! A seed or a test plan decides everything, so runs are reproducible. `medium` is shared by all
//! owners; `journal`, `root` and `blobs` belong to one owner.

mod medium;

mod journal;

mod root;

mod blobs;

mod storage;

pub use blobs::MemoryBlobStore;
pub use medium::{Fate, Weather};
pub use storage::MemoryStorage;
