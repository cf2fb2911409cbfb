//! The journal: the ordered, durable record of everything, in groups that are appended atomically.
//!
//! `api` says what a journal is, `memory` is one for tests, the rest is the one on disk, bottom up:
//! the bytes of a group (`frame`), a file of groups (`segment_file`), the groups in it (`segment`),
//! reading (`reader`), making and reusing segment files (`spare`), opening after whatever happened
//! (`recovery`), appending (`disk`). Formats and rules: RFC 0004.

mod error;

mod api;

mod memory;

mod frame;

mod segment_file;

mod segment;

mod reader;

mod spare;

mod recovery;

mod disk;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod beside;

pub use api::{Appended, Journal, JournalReader, Preparer, SegmentInfo};
pub use disk::{DiskJournal, JournalOptions};
pub use error::{GroupNumber, JournalError};
pub use memory::MemoryJournal;
