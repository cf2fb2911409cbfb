//! The limits of this machine, reported next to the figures of a workload.

use std::hint::black_box;
use std::time::{Duration, Instant};

use kvs_tree::{Blobref, HashAlgorithm};
use serde::Serialize;

use super::disk::Disk;
use super::frames::Frames;
use super::pingpong::PingPong;
use crate::cpus::Cpus;
use crate::plan::{Pin, Plan};
use crate::statistics::median;

/// Bytes hashed or copied per measurement: more than the caches hold.
const BLOCK_BYTES: usize = 32 << 20;

/// The limits of the machine. Values that could not be measured are absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Limit {
    /// Median round-trip time of the same frames, on the CPUs of the run.
    pub(crate) pingpong_p50_us: Option<f64>,
    /// Median round-trip time with both sides on one CPU.
    pub(crate) pingpong_same_core_p50_us: Option<f64>,
    /// Median round-trip time with the sides on two CPUs.
    pub(crate) pingpong_cross_core_p50_us: Option<f64>,
    /// Frames per second with the same number in flight, on the CPUs of the run.
    pub(crate) pingpong_rate: Option<f64>,
    /// Median time to write and sync the bytes of one commit.
    pub(crate) fdatasync_p50_us: Option<f64>,
    /// Commits per second when one write and one sync cover as many as are in flight.
    pub(crate) append_rate: Option<f64>,
    /// Bytes hashed per second.
    pub(crate) hash_bytes_per_s: Option<f64>,
    /// Bytes copied in memory per second.
    pub(crate) memory_bytes_per_s: Option<f64>,
}

impl Limit {
    /// Returns the median of each figure.
    pub(crate) fn median(limits: &[Limit]) -> Limit {
        let of = |field: fn(&Limit) -> Option<f64>| {
            let known: Vec<f64> = limits.iter().filter_map(field).collect();
            (!known.is_empty()).then(|| median(known))
        };
        Limit {
            pingpong_p50_us: of(|limit| limit.pingpong_p50_us),
            pingpong_same_core_p50_us: of(|limit| limit.pingpong_same_core_p50_us),
            pingpong_cross_core_p50_us: of(|limit| limit.pingpong_cross_core_p50_us),
            pingpong_rate: of(|limit| limit.pingpong_rate),
            fdatasync_p50_us: of(|limit| limit.fdatasync_p50_us),
            append_rate: of(|limit| limit.append_rate),
            hash_bytes_per_s: of(|limit| limit.hash_bytes_per_s),
            memory_bytes_per_s: of(|limit| limit.memory_bytes_per_s),
        }
    }
}

/// Measures each limit once, for the given time. The disk is measured only if it is known to be the
/// store's.
pub(crate) async fn measure(
    plan: &Plan,
    cpus: &Cpus,
    disk: Option<&mut Disk>,
    frames: Frames,
    hash: HashAlgorithm,
    time: Duration,
) -> anyhow::Result<Limit> {
    let batch = plan.in_flight * plan.clients;
    let mut limit = Limit::default();
    let mut peer = PingPong::start(cpus, plan.pin, frames)?;
    limit.pingpong_p50_us = Some(peer.run(1, time).await?.0.spread().p50_us);
    let (rounds, elapsed) = peer.run(batch, time).await?;
    limit.pingpong_rate = Some((rounds.len() * batch) as f64 / elapsed.as_secs_f64());
    drop(peer);
    if let Some((first, second)) = cpus.two() {
        for (daemon, place) in [
            (first, &mut limit.pingpong_same_core_p50_us),
            (second, &mut limit.pingpong_cross_core_p50_us),
        ] {
            if daemon == first || second != first {
                let pin = Pin {
                    daemon,
                    clients: first,
                };
                let mut peer = PingPong::start(cpus, Some(pin), frames)?;
                *place = Some(peer.run(1, time).await?.0.spread().p50_us);
            }
        }
    }
    cpus.enter(plan.pin.map(|pin| pin.clients))?;
    if let Some(disk) = disk {
        limit.fdatasync_p50_us = Some(disk.append(frames.record, time)?.0.spread().p50_us);
        let (rounds, elapsed) = disk.append(frames.record * batch, time)?;
        limit.append_rate = Some((rounds.len() * batch) as f64 / elapsed.as_secs_f64());
    }
    let block = vec![b'x'; BLOCK_BYTES];
    let mut copy = vec![0; BLOCK_BYTES];
    limit.hash_bytes_per_s = Some(rate(|| {
        black_box(Blobref::of(hash, black_box(&block)));
    }));
    limit.memory_bytes_per_s = Some(rate(|| black_box(&mut copy).copy_from_slice(&block)));
    Ok(limit)
}

/// Returns bytes per second of an operation on a block.
fn rate(mut work: impl FnMut()) -> f64 {
    // The first call faults the pages in.
    work();
    let start = Instant::now();
    work();
    BLOCK_BYTES as f64 / start.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_what_was_never_measured_is_absent() {
        let limit = |append_rate| Limit {
            append_rate,
            ..Limit::default()
        };
        let median = Limit::median(&[limit(Some(3.0)), limit(Some(1.0)), limit(Some(2.0))]);
        assert_eq!(median, limit(Some(2.0)));
        assert_eq!(Limit::median(&[Limit::default()]), Limit::default());
    }
}
