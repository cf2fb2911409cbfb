//! What kvs promises, over a real daemon: each test starts its own, on a store of its own, and does
//! to it what the world does to daemons.
//!
//! One binary for all tests, so that they link once. Nothing sleeps to wait, no test judges a time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod raw;

mod clients;
mod crashes;
mod examples;
mod fairness;
mod following;
mod hostile;
mod limits;
mod python;
mod sizes;
mod space;
mod starting;
mod stopping;
mod watching;
