//! The daemon: a unix socket in front of the engine.
//!
//! Reading order: `listener` (the socket), `connection` (bytes and frames), `failure`, `incoming`
//! and `outgoing` (the only place where wire and engine types meet), `ops` (one function an
//! operation), `work`, `ready` and `streams` (what is under way on a connection), `session` (one
//! connection), and the [`Daemon`] that ties them together. Sessions own their state; they share
//! the engine and a switch.

mod connection;
mod failure;
mod incoming;
mod listener;
mod ops;
mod outgoing;
mod ready;
mod session;
mod shared;
mod streams;
mod work;

mod daemon;

pub(crate) use daemon::{Daemon, Options};

/// Begins the line that `kvs serve` prints on standard error when it is ready; the address follows.
pub(crate) const READY: &str = "kvs: serving on ";

/// What the daemon calls itself towards its clients.
const SOFTWARE: &str = concat!("kvs ", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests;
