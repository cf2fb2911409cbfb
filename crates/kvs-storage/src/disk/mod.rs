//! The disk seam: traits for file access, the real disk and a simulated one.
//!
//! All calls are synchronous and positional; a caller that must not block uses a thread of its own.
//! Only `sync_data` (contents) and `sync_dir` (names) make anything durable.

mod error;

mod api;

mod cache;

mod real;

mod sim;

pub(crate) use api::write_all;
pub use api::{Disk, DiskFile, LockGuard};
pub(crate) use cache::{CachedFile, FileCache};
pub use error::{DiskError, DiskResult};
pub use real::RealDisk;
pub use sim::{CrashPoints, CrashVariant, DiskFault, FaultPoint, SimDisk};
