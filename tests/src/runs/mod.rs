//! The long runs, one file each; each file's header describes its purpose.

pub(crate) mod append_growth;
pub(crate) mod boxed;
pub(crate) mod bytes_per_put;
pub(crate) mod catch_up;
pub(crate) mod client_memory;
pub(crate) mod commit_to_callback;
pub(crate) mod dir_recursive;
pub(crate) mod directory_growth;
pub(crate) mod exactly_once;
pub(crate) mod flood;
pub(crate) mod fairness;
pub(crate) mod store_age;
pub(crate) mod idle_watches;
pub(crate) mod kill_nine;
pub(crate) mod large_value;
pub(crate) mod many_namespaces;
pub(crate) mod restart;
pub(crate) mod slices;
pub(crate) mod stalled_watchers;
pub(crate) mod watch_churn;
pub(crate) mod watch_lossless;
