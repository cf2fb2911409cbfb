//! Durable storage behind one seam: root record, journal and blobs. Also the seam to disk, clock
//! and randomness.
//!
//! Modules are listed in reading order: each imports only modules above it. RFC 0009 specifies the
//! guarantees of this crate, RFC 0004 the file formats.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod limits;

pub mod clock;

pub mod entropy;

pub mod disk;

pub mod env;

pub mod failure;

pub mod epoch;

pub mod term;

pub mod journal;

pub mod blobs;

pub mod root;

pub mod storage;

pub mod local;

pub mod memory;

#[cfg(test)]
mod conformance;

pub use clock::{Clock, RealClock, SimClock};
pub use disk::{
    CrashPoints, CrashVariant, Disk, DiskError, DiskFault, DiskFile, DiskResult, FaultPoint,
    LockGuard, RealDisk, SimDisk,
};
pub use entropy::{Entropy, RealEntropy, SimEntropy};
pub use env::Environment;
pub use local::{LocalOptions, LocalStorage};
pub use storage::{AcquireError, Owned, Storage};
