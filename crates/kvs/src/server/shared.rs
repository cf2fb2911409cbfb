//! What all sessions of a daemon share: the engine, the switch that ends them, and counts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use kvs_engine::Engine;
use kvs_proto::CONNECTIONS;
use smol_str::SmolStr;
use tokio_util::sync::CancellationToken;

use crate::limits::REFUSED_CONNECTIONS;

/// What the daemon calls itself towards its clients.
pub(crate) const SOFTWARE: &str = concat!("kvs ", env!("CARGO_PKG_VERSION"));

/// State of the daemon that every session can reach.
pub(crate) struct Shared {
    /// The engine.
    pub(crate) engine: Engine,
    /// The daemon's own user id; only it and root are served.
    pub(crate) owner: u32,
    /// Cancelled when the daemon is to end.
    pub(crate) stop: CancellationToken,
    started: Instant,
    connections: AtomicUsize,
}

/// What a new connection gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// A session.
    Served,
    /// An error as the answer to its hello.
    Refused,
    /// Nothing: there are too many even to tell.
    Dropped,
}

impl Shared {
    /// Shared state around an engine.
    pub(crate) fn new(engine: Engine, owner: u32) -> Shared {
        Shared {
            engine,
            owner,
            stop: CancellationToken::new(),
            started: Instant::now(),
            connections: AtomicUsize::new(0),
        }
    }

    /// Counts a new connection in and says what it gets; [`Shared::leave`] counts it out.
    pub(crate) fn enter(&self) -> Admission {
        admit(self.connections.fetch_add(1, Ordering::Relaxed))
    }

    /// Counts a connection out.
    pub(crate) fn leave(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Numbers for `status`, each under a name that ends in its unit.
    pub(crate) fn counters(&self) -> Vec<(SmolStr, u64)> {
        let uptime = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let connections = self.connections.load(Ordering::Relaxed) as u64;
        vec![
            (SmolStr::new_static("uptime_ms"), uptime),
            (SmolStr::new_static("connections"), connections),
        ]
    }
}

/// What a connection gets when there are `others` already.
fn admit(others: usize) -> Admission {
    if others < CONNECTIONS {
        Admission::Served
    } else if others < CONNECTIONS + REFUSED_CONNECTIONS {
        Admission::Refused
    } else {
        Admission::Dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_over_the_limit_are_told_and_far_over_it_dropped() {
        assert_eq!(admit(CONNECTIONS - 1), Admission::Served);
        assert_eq!(admit(CONNECTIONS), Admission::Refused);
        assert_eq!(admit(CONNECTIONS + REFUSED_CONNECTIONS), Admission::Dropped);
    }
}
