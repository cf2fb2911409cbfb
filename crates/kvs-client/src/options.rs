//! How a client behaves.

use crate::limits::{BACKOFF_MAX, BACKOFF_MIN, CONNECT_TIMEOUT, RECONNECT_TIME};
use smol_str::SmolStr;
use std::time::Duration;

/// Options of a client; `Options::default()` suits a command as well as a service.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Whether the first connect is tried once and its failure told at once (default), or repeated
    /// like any reconnect.
    pub fail_fast: bool,
    /// How long to try to reconnect before everything unanswered fails and the client is closed.
    /// `None`: forever. Default 60 s: a daemon that is gone, also one that was stopped cleanly, may
    /// come back in a moment, and nothing tells. With one that said that it is temporary
    /// (`kvs start`) it is tried once.
    pub reconnect_time: Option<Duration>,
    /// How long one attempt may take.
    pub connect_timeout: Duration,
    /// Shortest pause between attempts.
    pub backoff_min: Duration,
    /// Longest pause between attempts; at most an hour.
    pub backoff_max: Duration,
    /// Most unanswered requests; a call waits when there are so many. The daemon's limit holds if
    /// it is lower.
    pub requests_in_flight: usize,
    /// Identity of the client, the scope of its transaction numbers. Default: random. Who sets it
    /// must never use one twice, as its transactions would be taken for repetitions.
    pub client_id: Option<[u8; 16]>,
    /// Namespaces whose positions are asked for on connecting, so that even a lost first commit can
    /// be repeated. Default `primary`.
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

impl Options {
    /// The default.
    pub fn new() -> Self {
        Options::default()
    }

    /// Repeats the first connect like any other, instead of failing at once.
    pub fn keep_trying(mut self) -> Self {
        self.fail_fast = false;
        self
    }

    /// Sets how long to try to reconnect; `None`: forever.
    pub fn reconnect_time(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.reconnect_time = time.into();
        self
    }

    /// Sets how long one attempt may take.
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.connect_timeout = time;
        self
    }

    /// Sets the shortest and the longest pause between attempts.
    pub fn backoff(mut self, min: Duration, max: Duration) -> Self {
        (self.backoff_min, self.backoff_max) = (min, max);
        self
    }

    /// Sets the most unanswered requests, at least 1.
    pub fn requests_in_flight(mut self, requests: usize) -> Self {
        self.requests_in_flight = requests;
        self
    }

    /// Sets the client's identity, which must never be used twice.
    pub fn client_id(mut self, id: [u8; 16]) -> Self {
        self.client_id = Some(id);
        self
    }

    /// Sets the namespace that will be committed to, instead of `primary`.
    pub fn namespace(mut self, name: impl Into<SmolStr>) -> Self {
        self.namespaces = vec![name.into()];
        self
    }

    /// Sets name and version of the program.
    pub fn software(mut self, software: impl Into<SmolStr>) -> Self {
        self.software = software.into();
        self
    }
}
