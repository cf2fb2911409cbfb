//! The command line against a real daemon: output, streams and exit statuses.
//!
//! One binary for all integration tests of the crate, so they are linked once. `support` starts a
//! daemon for each test; every other module tests some verbs. Nothing sleeps in order to wait:
//! tests wait for output and exit, with a timeout that only failures reach.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod support;

mod abroad;
mod memory;
mod bench;
mod values;

mod directories;
mod eventlogs;
mod guests;
mod json;
mod links;
mod logs;
mod messages;
mod namespaces;
mod options;
mod removal;
mod roots;
mod scripts;
mod terminal;
mod txns;
mod usage;
mod watch_options;
mod watches;
