//! A store on a local disk: a directory with segments, packs, and two files for the root record.
//!
//! Nothing outside of this module knows of paths. Formats and rules: RFC 0004.

mod field;

mod present;

mod directory;

mod slots;

mod reserve;

mod journal;

mod pack;

mod storage;

pub use directory::STORE_FORMAT;
pub use storage::{LocalOptions, LocalStorage};
