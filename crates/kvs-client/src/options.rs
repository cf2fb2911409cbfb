//! How a client behaves.

use crate::limits::{BACKOFF_MAX, BACKOFF_MIN, CONNECT_TIMEOUT, RECONNECT_TIME};
use smol_str::SmolStr;
use std::time::Duration;

/// Options of a client; `Options::default()` suits a command as well as a service.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether the first connect is tried once and its failure told at once (default), or repeated like any reconnect.
    pub fail_fast: bool,
    /// How long to try to reconnect before everything unanswered fails and the client is closed. `None`: forever.
    /// Default 60 s: a daemon that is gone, also one that was stopped cleanly, may come back in a moment, and nothing tells.
    /// With one that said that it is temporary (`kvs start`) it is tried once.
    pub reconnect_time: Option<Duration>,
    /// How long one attempt may take.
    pub connect_timeout: Duration,
    /// Shortest pause between attempts.
    pub backoff_min: Duration,
    /// Longest pause between attempts.
    pub backoff_max: Duration,
    /// Most unanswered requests; a call waits when there are so many. The daemon's limit holds if it is lower.
    pub requests_in_flight: usize,
    /// Identity of the client, the scope of its transaction numbers. Default: random. Who sets it must never use one
    /// twice, as its transactions would be taken for repetitions.
    pub client_id: Option<[u8; 16]>,
    /// Namespaces whose positions are asked for on connecting, so that even a lost first commit can be repeated.
    /// Default `primary`.
    pub namespaces: Vec<SmolStr>,
    /// Name and version of the program, for the daemon's log.
    pub software: SmolStr,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            fail_fast: true,
            reconnect_time: Some(RECONNECT_TIME),
            connect_timeout: CONNECT_TIMEOUT,
            backoff_min: BACKOFF_MIN,
            backoff_max: BACKOFF_MAX,
            requests_in_flight: kvs_proto::REQUESTS_IN_FLIGHT,
            client_id: None,
            namespaces: vec![SmolStr::new_static("primary")],
            software: SmolStr::new_static(concat!("kvs-client ", env!("CARGO_PKG_VERSION"))),
        }
    }
}
