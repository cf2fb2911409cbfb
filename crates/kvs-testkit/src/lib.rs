//! What the tests and measurements of the workspace share. Never a dependency of the product.
//!
//! Reading order: `needs` is what a test asks of the machine, `random` repeatable random numbers,
//! `numbers` medians, `process` what the kernel counts for a process, `binary` where the programs
//! under test are, `daemon` a daemon as a child process.

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
