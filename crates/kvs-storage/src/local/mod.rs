//! A store on a local disk: a directory with segments, packs, and two files for the root record.
//!
//! Paths are private to this module. RFC 0004 specifies formats and rules.

mod field;

mod present;

mod slots;

mod directory;

mod reserve;

mod journal;

mod pack;

mod storage;

pub use slots::STORE_FORMAT;
pub use storage::{LocalOptions, LocalStorage};
