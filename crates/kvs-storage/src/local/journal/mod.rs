//! The journal on a local disk: groups in segments, each appended with one write and one sync.
//!
//! Bottom up: the bytes of a group (`frame`), a file of groups (`segment_file`), the groups in it
//! (`segment`), reading (`reader`), making and reusing segment files (`spare`, `preparing`),
//! opening after whatever happened (`recovery`), appending (`disk`). Formats and rules: RFC 0004.

mod frame;

mod segment_file;

mod segment;

mod reader;

mod spare;

mod preparing;

mod recovery;

mod disk;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod beside;

pub(super) use disk::{DiskJournal, JournalOptions};
