//! `kvs bench`: measures a daemon through the client library, together with the limits of the
//! machine.
//!
//! Reading order: `private` (a daemon in a child process), `statistics` (pure), `plan` (workloads
//! and settings), `cpus`, `target` (the daemon) and `progress`; `load` sends requests and records
//! latencies, `placement` binds both sides to CPUs; `workloads` has one file for each, `machine`
//! measures the machine; `report` formats; `run` controls a run. The load runs on one thread, so
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
