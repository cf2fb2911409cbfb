//! The journal on a local disk: groups in segments, each appended with one write and one sync.
//!
//! Bottom up: the encoding of a group (`frame`), a file of groups (`segment_file`), the groups in
//! it (`segment`), reading (`reader`), creating and reusing segment files (`spare`, `preparing`),
//! recovery at opening (`recovery`), appending (`disk`). RFC 0004 specifies formats and rules.

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
