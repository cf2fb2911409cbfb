//! The engine as its users see it, on a simulated disk and clock.
//!
//! One binary, one module for each subject; `support` has the simulated store and the model.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

mod chown;
mod clock;
mod cold;
mod commit;
mod crash;
mod faults;
mod flips;
mod fork;
mod history;
mod leases;
mod matching;
mod namespace;
mod retention;
mod rights;
mod seam;
mod sim;
mod shortage;
mod slices;
mod snapshot;
mod staging;
mod threads;
mod follow;
mod follow_on;
mod upload;
mod watch;

mod watch_abroad;
mod watch_gap;
mod watch_links;
mod watch_modes;
