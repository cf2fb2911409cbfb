//! The workloads, one file each: their requests and their figures.

pub(crate) mod append;
pub(crate) mod counter;
pub(crate) mod directory_growth;
pub(crate) mod get;
pub(crate) mod idle_watches;
pub(crate) mod large_value;
pub(crate) mod mixed;
pub(crate) mod put;
pub(crate) mod restart;
pub(crate) mod snapshot_get;
pub(crate) mod txn;
pub(crate) mod watch;
