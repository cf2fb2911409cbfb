//! The seam to the disk: what storage code may ask of it, the real one, and a simulated one.
//!
//! Everything is synchronous and positional; whoever must not block calls from a thread of its own.
//! Nothing here promises durability but `sync_data` (contents) and `sync_dir` (names).

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
