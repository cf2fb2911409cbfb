//! The daemon: a unix socket in front of the engine.
//!
//! Reading order: `panics` (a panic ends the process), `descriptors` (how file descriptors are
//! shared out), `listener` (the socket), `end` (exit statuses), `outbox` and `connection` (bytes
//! and frames), `failure`, `incoming`, `outgoing`, `events` and `roots` (where wire and engine
//! types meet), `polling` (busy-polling), `gate` and `account` (turns and limits of each user),
//! `shared` (what sessions share: the engine and the stop switch), `ops` (one function an
//! operation), `work` (requests in flight), `uploads` (values being received), `ready`, `marks`,
//! `stream`, `table`, `items` and `streams` (watches, and which of them run next), `greeting` (the
//! handshake) and `session` (one connection), `server` (sessions over any stream), `memory`
//! (streams inside the process), and the [`Daemon`] that ties them together.

mod limits;

mod panics;

mod descriptors;

mod listener;

mod end;

mod outbox;

mod connection;

mod failure;

mod incoming;

mod outgoing;

mod events;

mod roots;

mod polling;

mod gate;

mod account;

mod shared;

mod ops;

mod work;

mod uploads;

mod ready;

mod marks;

mod stream;

mod table;

mod items;

mod streams;

mod greeting;

mod session;

mod server;

mod memory;

mod daemon;

pub use daemon::{Daemon, Options};
pub use descriptors::Descriptors;
pub use end::DaemonError;
pub use listener::Access;
pub use memory::MemoryConnector;
pub use panics::end_process_on_panic;
pub use server::Server;

/// Prefix of the line that `kvs serve` prints on standard error when it is ready; the address
/// follows.
pub const READY: &str = "kvs: serving on ";

// Types in the options of a daemon.
pub use kvs_engine::{Durability, EngineConfig, Principal, Retention, limits as engine_limits};

#[cfg(test)]
mod tests;
