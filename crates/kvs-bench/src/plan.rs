//! Workloads and their settings.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::ValueEnum;
use kvs_tree::HashAlgorithm;
use smol_str::{SmolStr, format_smolstr};

/// Stride between successive keys. A prime, so that successive keys are not neighbors in the
/// directory and no key repeats within a round.
const STRIDE: u64 = 7919;

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// Put values under keys that exist
    Put,
    /// Look up current values
    Get,
    /// Look up values of one snapshot
    SnapshotGet,
    /// Nine gets, then a put
    Mixed,
    /// From the call of a commit to the callback of each watcher; then a burst that must arrive
    /// whole
    Watch,
    /// Puts while many watches wait for other keys
    IdleWatches,
    /// Transactions: a condition, an add to one counter, two puts
    Txn,
    /// Append to values
    Append,
    /// Add 1 to one counter
    Counter,
    /// Put and get values of 8 MiB
    LargeValue,
    /// Puts into one directory at 1,000 entries and when it has grown
    DirectoryGrowth,
    /// Restart after a kill, with many keys
    Restart,
}

impl Workload {
    /// Returns the name used on the command line and in output.
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

/// Where the keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// All in one directory
    Directory,
    /// Each in a directory of its own: lwj.N.state
    Lwj,
}

/// The CPUs to which the two sides are bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// CPU of the daemon, if it is our own, and of the ping-pong peer.
    pub daemon: usize,
    /// CPU of the clients.
    pub clients: usize,
}

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Number of connections that generate load.
    pub clients: usize,
    /// Requests in flight per connection.
    pub in_flight: usize,
    /// Size of a value in bytes; `None` selects the default of the workload.
    pub value_size: Option<usize>,
    /// Number of keys; `None` selects the default of the workload.
    pub keys: Option<u64>,
    /// Watchers of `watch`, watches of `idle-watches`; `None` selects the default of the workload.
    pub watchers: Option<usize>,
    /// Layout of the keys.
    pub layout: Layout,
    /// Measured time per repetition.
    pub time: Duration,
    /// Warm-up time before each measurement.
    pub warm_up: Duration,
    /// Number of repetitions.
    pub repetitions: usize,
    /// CPUs of both sides.
    pub pin: Option<Pin>,
    /// Durability mode of our own daemon, as for `kvs serve`.
    pub durability: String,
    /// Hash algorithm of our own daemon's store; another daemon's store has its own.
    pub hash: HashAlgorithm,
    /// Directory of our own daemon's store, in which the disk is also measured.
    pub directory: Option<PathBuf>,
    /// Address of the daemon to measure; `None` starts our own.
    pub uri: Option<String>,
}

/// The sizes of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Number of keys, at least 1.
    pub(crate) keys: u64,
    /// Size of a value in bytes.
    pub(crate) value: usize,
    /// Number of watchers.
    pub(crate) watchers: usize,
    /// Layout of the keys.
    pub(crate) layout: Layout,
}

impl Plan {
    /// Returns the sizes for a workload: the configured ones, or its defaults.
    pub(crate) fn size(&self, workload: Workload) -> Size {
        let (keys, value, watchers) = match workload {
            Workload::LargeValue => (4, 8 << 20, 0),
            Workload::DirectoryGrowth | Workload::Restart => (100_000, 64, 0),
            Workload::Watch => (1000, 64, 1),
            Workload::IdleWatches => (1000, 64, 1000),
            _ => (1000, 64, 0),
        };
        Size {
            keys: self.keys.unwrap_or(keys).max(1),
            value: self.value_size.unwrap_or(value),
            watchers: self.watchers.unwrap_or(watchers),
            layout: self.layout,
        }
    }
}

impl Size {
    /// Returns key number `n`, counted from 0.
    pub(crate) fn key(&self, n: u64) -> SmolStr {
        match self.layout {
            Layout::Directory => format_smolstr!("bench.key{n}"),
            Layout::Lwj => format_smolstr!("lwj.{n}.state"),
        }
    }

    /// Returns the key of request number `i`.
    pub(crate) fn key_of_request(&self, i: u64) -> SmolStr {
        let step = if self.keys.is_multiple_of(STRIDE) {
            1
        } else {
            STRIDE
        };
        self.key(i.wrapping_mul(step) % self.keys)
    }

    /// Returns the keys of all requests, computed in advance.
    pub(crate) fn keys_in_turn(&self) -> Keys {
        Keys((0..self.keys).map(|i| self.key_of_request(i)).collect())
    }

    /// Returns a value that starts with a number, so that all values differ.
    pub(crate) fn value_with(&self, i: u64) -> Bytes {
        let mut value = vec![b'x'; self.value];
        for (byte, digit) in value.iter_mut().zip(i.to_be_bytes().iter().rev()) {
            *byte = *digit;
        }
        value.into()
    }
}

/// Precomputed keys, so that creating a request does not distort the measurement.
pub(crate) struct Keys(Vec<SmolStr>);

impl Keys {
    /// Returns the key of request number `i`.
    pub(crate) fn of(&self, i: u64) -> SmolStr {
        let turn = i % (self.0.len() as u64).max(1);
        self.0.get(turn as usize).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn size(keys: u64, layout: Layout) -> Size {
        Size {
            keys,
            value: 3,
            watchers: 0,
            layout,
        }
    }

    #[test]
    fn a_round_of_requests_takes_every_key_once() {
        for keys in [1, 7, 1000, STRIDE, 2 * STRIDE] {
            let size = size(keys, Layout::Lwj);
            let taken: HashSet<_> = (0..keys).map(|i| size.key_of_request(i)).collect();
            assert_eq!(taken.len() as u64, keys);
            let made = size.keys_in_turn();
            assert!((0..3 * keys).all(|i| made.of(i) == size.key_of_request(i)));
            assert!((0..keys).all(|n| taken.contains(&size.key(n))));
        }
    }

    #[test]
    fn values_have_their_size_and_differ() {
        let size = size(1, Layout::Directory);
        assert_eq!(size.value_with(1).as_ref(), [1, 0, 0]);
        assert_eq!(size.value_with(0x0203).as_ref(), [3, 2, 0]);
    }

    #[test]
    fn workloads_have_the_names_that_are_typed() {
        assert_eq!(Workload::SnapshotGet.name(), "snapshot-get");
        assert_eq!(Workload::value_variants().len(), 12);
    }
}
