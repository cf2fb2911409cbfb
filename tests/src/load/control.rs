//! A loop that only computes, as a measure of what the machine adds to thread time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::load::dedicated_thread::apart;
use kvs_testkit::Random;

/// Rounds of the loop that does nothing but compute: about as much as a slice.
const CONTROL_ROUNDS: u64 = 40_000;

/// Loops between two pauses, so that together they take half a processor: a disturbance of the
/// machine has to have much to hit, or it is not seen.
const CONTROL_LOOPS: u64 = 8;

/// A pause.
const CONTROL_PAUSE: Duration = Duration::from_millis(1);

/// What a loop without any input, output or memory takes of a processor, in milliseconds of thread
/// time, again and again: what of the longest slice is the machine's.
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
