//! The workloads that every system runs, and their measurements.

use std::time::Duration;

/// Number of keys, all in one directory or under one prefix.
pub(crate) const KEYS: u64 = 1000;

/// Size of a value in bytes.
pub(crate) const VALUE_BYTES: usize = 64;

/// Requests in flight in the pipelined workloads.
pub(crate) const IN_FLIGHT: usize = 128;

/// Requests in flight in the workload for which `kvs` is reported as well.
pub(crate) const MANY_IN_FLIGHT: usize = 512;

/// Stride between successive keys, a prime, as in `kvs bench`.
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
    /// Lookups of current values, 128 in flight.
    Gets,
    /// From the call of a put to the event at a watcher, one at a time.
    Watch,
    /// Adds of 1 to one counter, one at a time.
    Count,
    /// Adds of 1 to one counter, 128 in flight.
    Counts,
}

/// The action of a request.
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
    /// All workloads in order of measurement.
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

    /// Name for output.
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

    /// Number of requests in flight.
    pub(crate) fn in_flight(self) -> usize {
        match self {
            Work::Put | Work::Get | Work::Watch | Work::Count => 1,
            Work::Puts | Work::Gets | Work::Counts => IN_FLIGHT,
            Work::ManyPuts => MANY_IN_FLIGHT,
        }
    }

    /// The action of the workload's requests.
    pub(crate) fn action(self) -> Action {
        match self {
            Work::Put | Work::Puts | Work::ManyPuts | Work::Watch => Action::Put,
            Work::Get | Work::Gets => Action::Get,
            Work::Count | Work::Counts => Action::Count,
        }
    }

    /// Returns whether the figure is a rate; otherwise it is the median latency.
    pub(crate) fn is_rate(self) -> bool {
        self.in_flight() > 1
    }
}

/// The duration of each workload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// Warm-up, not measured.
    pub(crate) warm_up: Duration,
    /// Measured time.
    pub(crate) time: Duration,
}

/// The result of one repetition.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Measured {
    /// Operations per second.
    pub(crate) rate: f64,
    /// Median latency in microseconds.
    pub(crate) p50_us: f64,
    /// 99th percentile of the latency in microseconds.
    pub(crate) p99_us: f64,
}

impl Measured {
    /// Summarizes latencies in nanoseconds, measured within `elapsed`.
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

/// Returns the key number of request `i`.
pub(crate) fn key_of(i: u64) -> u64 {
    i.wrapping_mul(STRIDE) % KEYS
}

/// Returns the value of request `i`.
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
