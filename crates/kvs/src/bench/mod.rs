//! `kvs bench`: measures a daemon through the client library, and beside it what the machine could
//! do at most.
//!
//! Reading order: `statistics` (pure), `plan` (workloads and settings), `cpus`, `target` (the daemon)
//! and `progress`; `load` makes requests and records latencies, `placement` says
//! on which CPUs; the workloads, one file each;
//! `frames`, `peer`, `pingpong`, `disk` and `machine` measure the machine; `report` prints; `run` is
//! the course of it all. The load runs on one thread, so that the daemon has the rest of the machine.

mod statistics;

mod plan;

mod cpus;

mod target;

mod progress;

mod transfer;

mod load;

mod placement;

mod append;
mod counter;
mod directory_growth;
mod get;
mod idle_watches;
mod large_value;
mod mixed;
mod put;
mod restart;
mod snapshot_get;
mod txn;
mod watch;

mod frames;

mod peer;

mod pingpong;

mod disk;

mod machine;

mod report;

mod run;

pub(crate) use cpus::Cpus;
pub(crate) use peer::run as run_peer;
pub(crate) use plan::{Layout, Pin, Plan, Workload};
pub(crate) use report::table;
pub(crate) use run::run;
