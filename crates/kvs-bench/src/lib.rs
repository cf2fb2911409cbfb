//! `kvs bench`: measures a daemon through the client library, and beside it what the machine could
//! do at most.
//!
//! Reading order: `private` (a daemon in a child process), `statistics` (pure), `plan` (workloads
//! and settings), `cpus`, `target` (the daemon) and `progress`; `load` makes requests and records
//! latencies, `placement` says on which CPUs; `workloads` has one file for each, `machine` measures
//! the machine; `report` prints; `run` is the course of it all. The load runs on one thread, so
//! that the daemon has the rest of the machine.

mod private;

mod statistics;

mod plan;

mod cpus;

mod target;

mod progress;

mod transfer;

mod load;

mod placement;

mod workloads;

mod machine;

mod report;

mod run;

pub use cpus::Cpus;
pub use machine::peer::run as run_peer;
pub use plan::{Layout, Pin, Plan, Workload};
pub use private::{Daemon as PrivateDaemon, remove};
pub use report::{Figures, table};
pub use run::run;
