//! The command line against a real daemon: what is printed, where, and with which exit status.
//!
//! One binary for all integration tests of the crate, so that they link once. `support` starts a
//! daemon for each test; every other module is about some verbs. Nothing sleeps to wait: output and
//! exit are waited for, with a bound that only a failure reaches.

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
