//! A loop that only computes, to measure what the machine adds to thread time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::load::dedicated_thread::apart;
use kvs_testkit::Random;

/// Iterations of the loop: about as much work as a slice.
const CONTROL_ROUNDS: u64 = 40_000;

/// Loops between two pauses, chosen so that they use half a CPU: a disturbance of the machine is
/// noticed only if it is likely to hit a loop.
const CONTROL_LOOPS: u64 = 8;

/// Length of a pause.
const CONTROL_PAUSE: Duration = Duration::from_millis(1);

/// Repeatedly measures the thread time of a loop without I/O or memory access, in milliseconds.
/// Shows how much of the longest slice is due to the machine.
pub(crate) async fn control(done: Arc<AtomicBool>) -> anyhow::Result<Vec<f64>> {
    apart("control", async move || {
        let mut taken = Vec::new();
        let mut number = 1;
        while !done.load(Ordering::Relaxed) {
            for _ in 0..CONTROL_LOOPS {
                let start = clock_gettime(ClockId::ThreadCPUTime);
                for _ in 0..CONTROL_ROUNDS {
                    number = Random::mix(number);
                }
                let end = clock_gettime(ClockId::ThreadCPUTime);
                std::hint::black_box(number);
                let seconds = (end.tv_sec - start.tv_sec) as f64;
                let rest = (end.tv_nsec - start.tv_nsec) as f64;
                taken.push(seconds * 1e3 + rest / 1e6);
            }
            tokio::time::sleep(CONTROL_PAUSE).await;
        }
        Ok(taken)
    })
    .await
}
