//! A store in memory that behaves as badly as RFC 0009 allows: a new owner fences the old one,
//! appends arrive late or never, answers are lost, what was not synced vanishes when the owner
//! changes.
//!
//! Everything is decided by a seed or planned by a test, so a run repeats itself. `medium` is what
//! all owners share; `journal`, `root` and `blobs` are what one owner holds of it.

mod medium;

mod journal;

mod root;

mod blobs;

mod storage;

pub use blobs::MemoryBlobStore;
pub use medium::{Fate, Weather};
pub use storage::MemoryStorage;
