//! What is durable: the journal, packs of objects, the record that both hang from, and the seam to
//! disk, clock and randomness.
//!
//! Modules stand in reading order: each imports only modules above it. RFC 0009 says what this crate
//! promises, RFC 0004 what the files contain.

pub mod limits;

pub mod clock;

pub mod entropy;

pub mod disk;

pub mod env;

mod field;

pub mod journal;

pub mod pack;

pub mod manifest;

pub mod store_dir;

pub mod reserve;

pub use clock::{Clock, RealClock, SimClock};
pub use disk::{
    CrashPoints, CrashVariant, Disk, DiskError, DiskFault, DiskFile, DiskResult, FaultPoint,
    LockGuard, RealDisk, SimDisk,
};
pub use entropy::{Entropy, RealEntropy, SimEntropy};
pub use env::Environment;
