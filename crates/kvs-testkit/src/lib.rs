//! Shared code of the workspace's tests and measurements. Never a dependency of the product.
//!
//! Reading order: `needs` checks requirements on the machine, `random` provides reproducible random
//! numbers, `numbers` medians, `process` the kernel's counters of a process, `binary` locates the
//! programs under test, `daemon` runs a daemon as a child process.

mod needs;

mod random;

mod numbers;

mod process;

mod binary;

mod daemon;

pub use binary::{example, program};
pub use daemon::{Daemon, Home, PATIENCE, Refused};
pub use needs::{has, has_program, has_root};
pub use numbers::{median, percentile};
pub use process::Counters;
pub use random::Random;
