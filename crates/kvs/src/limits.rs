//! Limits of the daemon's server side: what one connection, and all of them together, may hold.
//!
//! Every queue between a client and the engine has its bound here. A bound on work stops the
//! reading from that connection (backpressure); a bound on things held open is an error `limit`.

use std::time::Duration;

/// Connections that may be open at once; further ones are told so and closed.
pub(crate) const CONNECTIONS: usize = 4096;

/// Connections above [`CONNECTIONS`] that may wait to be told; further ones are closed at once.
pub(crate) const REFUSED_CONNECTIONS: usize = 64;

/// Time a new connection has to say hello.
pub(crate) const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests of one connection that may be in work at once; no more are read until one is answered.
/// (A wait and a watch do not count: see [`STREAMS_PER_CONNECTION`].)
pub(crate) const REQUESTS_IN_FLIGHT: usize = 1024;

/// Reads of one connection that may be waiting for the disk at once; no more requests are taken
/// until one is answered.
pub(crate) const SLOW_REQUESTS_IN_FLIGHT: usize = 32;

/// Watches and waits that one connection may have open; one more is refused.
pub(crate) const STREAMS_PER_CONNECTION: usize = 10_000;

/// Bytes of answers and events that may wait to be sent on one connection. Above it no request of
/// the connection is taken and no event is made; what is in work may still add its answer.
pub(crate) const OUTGOING_BYTES: usize = 4 * 1024 * 1024;

/// Bytes above which no further event is put in line on one connection, so that answers are never
/// far behind events.
pub(crate) const OUTGOING_EVENT_BYTES: usize = 256 * 1024;

/// Events that one watch may give before the others of its connection have their turn.
pub(crate) const EVENTS_PER_TURN: usize = 8;

/// Credit that a watch may hold, in events; more is cut to this.
pub(crate) const CREDIT: u64 = 1 << 32;

/// Bytes that are asked of the socket in one read.
pub(crate) const READ_BYTES: usize = 64 * 1024;

/// Values up to this length are copied out of the read buffer, so that a small value that is kept
/// does not keep the buffer; longer ones are sliced from it.
pub(crate) const COPIED_VALUE_BYTES: usize = 16 * 1024;

/// Bytes of one answer to a read of a value; the rest is read with further requests.
pub(crate) const READ_ANSWER_BYTES: u64 = 1024 * 1024;

/// Entries of one page of a listing.
pub(crate) const LIST_PAGE: usize = 1000;

/// Versions of one page of the log.
pub(crate) const LOG_PAGE: usize = 1000;

/// Time that commits in flight have to be answered when the daemon shuts down.
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
