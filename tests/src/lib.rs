//! Acceptance runs against a real daemon that are too long for unit tests. The integration tests
//! run them in short form; the program `measure` runs them in full and prints the figures.
//!
//! A run fails with an error if a guarantee is broken; performance is reported as a figure, never
//! as an error.

mod measuring;

mod load;

mod runs;

pub use load::hostile_guest::HostileGuest;
pub use load::pipeline::{IN_FLIGHT, Pipeline};
pub use measuring::report::{Report, Target};
pub use runs::append_growth::AppendGrowth;
pub use runs::boxed::Boxed;
pub use runs::bytes_per_put::BytesPerPut;
pub use runs::catch_up::CatchUp;
pub use runs::client_memory::ClientMemory;
pub use runs::commit_to_callback::CommitToCallback;
pub use runs::dir_recursive::DirRecursive;
pub use runs::directory_growth::DirectoryGrowth;
pub use runs::exactly_once::ExactlyOnce;
pub use runs::fairness::Fairness;
pub use runs::flood::Flood;
pub use runs::idle_watches::IdleWatches;
pub use runs::kill_nine::KillNine;
pub use runs::large_value::LargeValue;
pub use runs::many_namespaces::ManyNamespaces;
pub use runs::restart::Restart;
pub use runs::slices::Slices;
pub use runs::stalled_watchers::StalledWatchers;
pub use runs::store_age::StoreGrowth;
pub use runs::watch_churn::WatchChurn;
pub use runs::watch_lossless::WatchLossless;
