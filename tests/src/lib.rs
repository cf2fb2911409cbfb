//! What kvs must show, over a real daemon: the runs that are too long for a unit test. The integration tests take them short, the program
//! `measure` takes them whole and prints the figures.
//!
//! A run fails with an error when a promise is broken; how fast it was is a figure, never an error.

mod apart;
mod progress;
mod report;
mod reference;

mod confined;
mod hostile_guest;

mod pipeline;
mod streamed;

mod numbered;
mod load;
mod paced;
mod pairs;
mod round_trip;
mod stalling;

mod growing;

mod append_growth;
mod boxed;
mod bytes_per_put;
mod catch_up;
mod client_memory;
mod commit_to_callback;
mod dir_recursive;
mod directory_growth;
mod exactly_once;
mod flood;

mod fairness;
mod growth;
mod idle_watches;
mod kill_nine;
mod large_value;
mod many_namespaces;
mod restart;
mod control;
mod slices;
mod stalled_watchers;
mod watch_churn;
mod watch_lossless;

pub use append_growth::AppendGrowth;
pub use boxed::Boxed;
pub use bytes_per_put::BytesPerPut;
pub use catch_up::CatchUp;
pub use client_memory::ClientMemory;
pub use commit_to_callback::CommitToCallback;
pub use dir_recursive::DirRecursive;
pub use directory_growth::DirectoryGrowth;
pub use exactly_once::ExactlyOnce;
pub use fairness::Fairness;
pub use flood::Flood;
pub use growth::StoreGrowth;
pub use hostile_guest::HostileGuest;
pub use idle_watches::IdleWatches;
pub use kill_nine::KillNine;
pub use large_value::LargeValue;
pub use many_namespaces::ManyNamespaces;
pub use pipeline::{IN_FLIGHT, Pipeline};
pub use report::{Report, Target};
pub use restart::Restart;
pub use slices::Slices;
pub use stalled_watchers::StalledWatchers;
pub use watch_churn::WatchChurn;
pub use watch_lossless::WatchLossless;
