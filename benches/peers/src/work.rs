//! What every system is given to do, and what came of it.

use std::time::Duration;

/// Keys of the workloads, all in one directory (or under one prefix).
pub(crate) const KEYS: u64 = 1000;

/// Bytes of a value.
pub(crate) const VALUE_BYTES: usize = 64;

/// Requests under way in the pipelined workloads.
pub(crate) const IN_FLIGHT: usize = 128;

/// The same in the one that `kvs` is reported at as well.
pub(crate) const MANY_IN_FLIGHT: usize = 512;

/// Keys are taken in steps of this prime, as `kvs bench` does.
const STRIDE: u64 = 7919;

/// One workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    /// Puts, one at a time.
    Put,
    /// Puts, 128 in flight.
    Puts,
    /// Puts, 512 in flight.
    ManyPuts,
    /// Lookups of current values, one at a time.
    Get,
    /// The same, 128 in flight.
    Gets,
    /// From the call of a put to the event at a watcher, one at a time.
    Watch,
    /// Adds of 1 to one counter, one at a time.
    Count,
    /// The same, 128 in flight.
    Counts,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Put a value.
    Put,
    /// Look up a value.
    Get,
    /// Add 1 to the counter.
    Count,
}

impl Work {
    /// All, in the order in which they are measured.
    pub(crate) const ALL: [Work; 8] = [
        Work::Put,
        Work::Puts,
        Work::ManyPuts,
        Work::Get,
        Work::Gets,
        Work::Watch,
        Work::Count,
        Work::Counts,
    ];

    /// As it is printed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Work::Put => "put",
            Work::Puts => "put, 128 in flight",
            Work::ManyPuts => "put, 512 in flight",
            Work::Get => "get",
            Work::Gets => "get, 128 in flight",
            Work::Watch => "put to watch event",
            Work::Count => "counter",
            Work::Counts => "counter, 128 in flight",
        }
    }

    /// Requests under way.
    pub(crate) fn in_flight(self) -> usize {
        match self {
            Work::Put | Work::Get | Work::Watch | Work::Count => 1,
            Work::Puts | Work::Gets | Work::Counts => IN_FLIGHT,
            Work::ManyPuts => MANY_IN_FLIGHT,
        }
    }

    /// What its requests ask for.
    pub(crate) fn action(self) -> Action {
        match self {
            Work::Put | Work::Puts | Work::ManyPuts | Work::Watch => Action::Put,
            Work::Get | Work::Gets => Action::Get,
            Work::Count | Work::Counts => Action::Count,
        }
    }

    /// Whether its figure is a rate; else it is the median latency.
    pub(crate) fn is_rate(self) -> bool {
        self.in_flight() > 1
    }
}

/// How long each workload is driven.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// Before anything counts.
    pub(crate) warm_up: Duration,
    /// That counts.
    pub(crate) time: Duration,
}

/// What one repetition gave.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Measured {
    /// Operations a second.
    pub(crate) rate: f64,
    /// Median latency.
    pub(crate) p50_us: f64,
    /// The latency that 99 in 100 do not exceed.
    pub(crate) p99_us: f64,
}

impl Measured {
    /// Sums up latencies in nanoseconds that were taken in so much time.
    pub(crate) fn new(mut nanos: Vec<u64>, elapsed: Duration) -> Measured {
        nanos.sort_unstable();
        let at = |percent: usize| {
            let rank = (nanos.len() * percent).div_ceil(100).saturating_sub(1);
            nanos.get(rank).copied().unwrap_or(0) as f64 / 1000.0
        };
        Measured {
            rate: nanos.len() as f64 / elapsed.as_secs_f64().max(1e-9),
            p50_us: at(50),
            p99_us: at(99),
        }
    }
}

/// The number of the key of request `i`.
pub(crate) fn key_of(i: u64) -> u64 {
    i.wrapping_mul(STRIDE) % KEYS
}

/// The value of request `i`.
pub(crate) fn value_of(i: u64) -> [u8; VALUE_BYTES] {
    let mut value = [b'x'; VALUE_BYTES];
    for (byte, digit) in value.iter_mut().zip(i.to_be_bytes().iter().rev()) {
        *byte = *digit;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_summed_up_by_nearest_rank() {
        let nanos = (1..=100).rev().map(|micros| micros * 1000).collect();
        let measured = Measured::new(nanos, Duration::from_secs(2));
        assert_eq!((measured.p50_us, measured.p99_us), (50.0, 99.0));
        assert_eq!(measured.rate, 50.0);
    }

    #[test]
    fn a_round_takes_every_key_once() {
        let mut keys: Vec<u64> = (0..KEYS).map(key_of).collect();
        keys.sort_unstable();
        assert!(keys.into_iter().eq(0..KEYS));
    }
}
