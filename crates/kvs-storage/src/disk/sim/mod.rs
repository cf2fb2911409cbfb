//! An in-memory disk that loses unsynced data, fails on request, and runs full.
//!
//! `log` records the operations, `fault` plans failures, `state` holds the files as the running
//! process sees them, `disk` implements the disk, and `crash` creates the images that a power cut
//! could leave after any operation. The model: contents become durable by `sync_data` of the file
//! and names by `sync_dir` of their directory, independently and in any order before that; writes
//! tear at 512-byte sectors; writes covered by a failed sync are never made durable by a later one.

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
