//! A disk in memory that forgets what was not synced, fails on request, and runs full.
//!
//! `log` is what happened, `fault` what shall fail, `state` the files as the running process sees
//! them, `disk` their disk, `crash` the disks that a power cut could leave after any operation. The
//! model: contents become durable by `sync_data` of the file, names by `sync_dir` of their
//! directory, independently of each other and in any order before that; writes tear at 512-byte
//! sectors; after a failed sync the writes it was to cover are never made durable by a later one.

mod log;

mod fault;

mod state;

mod disk;

mod crash;

#[cfg(test)]
mod tests;

pub use crash::{CrashPoints, CrashVariant};
pub use disk::SimDisk;
pub use fault::{DiskFault, FaultPoint};
