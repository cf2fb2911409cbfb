//! `watch`: the time from the call of a commit until the callback of each watcher has the value;
//! then a burst of commits to one key, in which no watcher may miss, repeat or reorder a value.
//!
//! Each value starts with its number and the time of the call, so the sides share only a counter.
//! The first part is a closed loop: the next commit is sent once all watchers have seen the
//! previous one. Its figures are those of the workload, with one operation per delivery.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use kvs_client::{ChangeValue, Event, Transaction, WatchOptions, WatchStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::load::{Bench, Measured};
use crate::plan::Size;
use crate::progress::Progress;
use crate::statistics::Samples;

/// The number that stops a watcher.
const LAST: u64 = u64::MAX;

/// Minimum number of commits in flight during the burst.
const BURST_IN_FLIGHT: usize = 128;

/// The total number of deliveries to all watchers.
#[derive(Default)]
struct Delivered {
    count: AtomicU64,
    /// The count that the producer waits for.
    wanted: AtomicU64,
    changed: Notify,
}

/// Runs one repetition.
pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Measured> {
    let watchers = bench.size.watchers.max(1);
    let written = bench.target.written_bytes();
    let mut measured = latency(bench, watchers).await?;
    let commits = measured.operations / watchers as u64;
    measured.disk_bytes_per_op = written
        .zip(bench.target.written_bytes())
        .map(|(before, after)| after.saturating_sub(before) as f64 / commits.max(1) as f64);
    let burst = burst(bench, watchers).await?;
    measured.extra = vec![
        ("watchers", watchers as f64),
        ("commits", commits as f64),
        ("burst_rate", burst.rate()),
        ("burst_deliveries", burst.operations as f64),
        ("burst_missed", 0.0),
    ];
    Ok(measured)
}

/// Commits one value at a time until the time is over.
async fn latency(bench: &Bench, watchers: usize) -> anyhow::Result<Measured> {
    let base = Instant::now();
    let delivered = Arc::new(Delivered::default());
    let mut tasks = watch(bench, watchers, base, &delivered).await?;
    bench.progress.step("commits");
    let producer = bench.connect().await?;
    let from = Instant::now() + bench.plan.warm_up;
    let until = from + bench.plan.time;
    let (mut number, mut counted, mut tick) = (0, 0, from);
    let mut now = Instant::now();
    while now < until {
        // Watchers do not count number 0.
        let is_counted = now >= from;
        number += u64::from(is_counted);
        counted += u64::from(is_counted);
        delivered.want((watchers as u64) * (1 + delivered.rounds(watchers)));
        let value = value(&bench.size, number, base);
        let put = Transaction::new().put(bench.size.key_of_request(number), value);
        let answer = producer.submit(put).await?;
        tokio::select! {
            () = delivered.reached() => {}
            ended = tasks.join_next() => return Err(ended_early(ended)),
        }
        answer.await?;
        now = Instant::now();
        if now >= tick {
            bench
                .progress
                .at(now.saturating_duration_since(from), bench.plan.time);
            tick = now + Progress::TICK;
        }
    }
    let elapsed = now - from;
    producer
        .put(bench.size.key(0), value(&bench.size, LAST, base))
        .await?;
    let samples = samples(tasks).await?;
    ensure!(
        samples.len() as u64 == counted * watchers as u64,
        "watchers saw {} of {counted} values each",
        samples.len() / watchers
    );
    Ok(Measured {
        operations: samples.len() as u64,
        elapsed,
        samples,
        ..Measured::default()
    })
}

/// Keeps many commits to one key in flight, each with a version of its own.
async fn burst(bench: &Bench, watchers: usize) -> anyhow::Result<Measured> {
    let base = Instant::now();
    let delivered = Arc::new(Delivered::default());
    let tasks = watch(bench, watchers, base, &delivered).await?;
    bench.progress.step("burst");
    let producer = bench.connect().await?;
    let in_flight = bench.plan.in_flight.max(BURST_IN_FLIGHT);
    let key = bench.size.key(0);
    let mut waiting = std::collections::VecDeque::with_capacity(in_flight);
    let start = Instant::now();
    let mut number = 0;
    while start.elapsed() < bench.plan.time {
        number += 1;
        let put = Transaction::new().put(key.clone(), value(&bench.size, number, base));
        waiting.push_back(producer.submit(put).await?);
        if waiting.len() >= in_flight
            && let Some(answer) = waiting.pop_front()
        {
            answer.await?;
        }
    }
    for answer in waiting {
        answer.await?;
    }
    producer.put(key, value(&bench.size, LAST, base)).await?;
    let samples = samples(tasks).await?;
    let elapsed = start.elapsed();
    let operations = samples.len() as u64;
    ensure!(
        operations == number * watchers as u64,
        "of {number} values watchers saw {}",
        operations / watchers as u64
    );
    Ok(Measured {
        operations,
        elapsed,
        ..Measured::default()
    })
}

/// Starts the watchers, each on its own connection. On return their watches are established.
async fn watch(
    bench: &Bench,
    watchers: usize,
    base: Instant,
    delivered: &Arc<Delivered>,
) -> anyhow::Result<JoinSet<anyhow::Result<Samples>>> {
    bench.progress.step("watchers");
    let mut tasks = JoinSet::new();
    for _ in 0..watchers {
        let namespace = bench.connect().await?;
        let stream = namespace.watch(WatchOptions::new()).await?;
        tasks.spawn(watcher(stream, base, Arc::clone(delivered)));
    }
    Ok(tasks)
}

/// Receives values up to the last and checks that their numbers are consecutive.
async fn watcher(
    mut stream: WatchStream,
    base: Instant,
    delivered: Arc<Delivered>,
) -> anyhow::Result<Samples> {
    let mut samples = Samples::with_capacity(1 << 16);
    let mut newest = 0;
    loop {
        let Event::Changes(changes) = stream.recv().await? else {
            bail!("a watcher got something else than changes");
        };
        for change in &changes.changes {
            let ChangeValue::Bytes(value) = &change.value else {
                continue;
            };
            let now = base.elapsed();
            let (number, called) = parse(value).context("a watcher got a value of nobody's")?;
            if number == LAST {
                return Ok(samples);
            }
            if number > 0 {
                ensure!(number == newest + 1, "value {number} came after {newest}");
                newest = number;
                samples.push(now.saturating_sub(called));
            }
            delivered.add();
        }
    }
}

impl Delivered {
    fn add(&self) {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        if count >= self.wanted.load(Ordering::Relaxed) {
            self.changed.notify_one();
        }
    }

    /// Returns how many values all watchers have seen; valid while no value is in flight.
    fn rounds(&self, watchers: usize) -> u64 {
        self.count.load(Ordering::Relaxed) / watchers as u64
    }

    fn want(&self, count: u64) {
        self.wanted.store(count, Ordering::Relaxed);
    }

    async fn reached(&self) {
        while self.count.load(Ordering::Relaxed) < self.wanted.load(Ordering::Relaxed) {
            self.changed.notified().await;
        }
    }
}

/// Collects the samples of all watchers.
async fn samples(mut tasks: JoinSet<anyhow::Result<Samples>>) -> anyhow::Result<Samples> {
    let mut all = Samples::default();
    while let Some(samples) = tasks.join_next().await {
        all.extend(samples??);
    }
    Ok(all)
}

/// Returns the reason why a watcher ended early.
fn ended_early(
    ended: Option<Result<anyhow::Result<Samples>, tokio::task::JoinError>>,
) -> anyhow::Error {
    match ended {
        Some(Ok(Err(error))) => error,
        Some(Err(error)) => error.into(),
        _ => anyhow::anyhow!("a watcher ended early"),
    }
}

/// Returns a value with its number and the current time; at least 16 bytes.
fn value(size: &Size, number: u64, base: Instant) -> Bytes {
    let mut value = BytesMut::with_capacity(size.value.max(16));
    value.put_u64(number);
    value.put_u64(u64::try_from(base.elapsed().as_nanos()).unwrap_or(u64::MAX));
    value.resize(size.value.max(16), b'x');
    value.freeze()
}

fn parse(value: &[u8]) -> Option<(u64, Duration)> {
    let (number, rest) = value.split_first_chunk()?;
    let nanos = rest.first_chunk()?;
    Some((
        u64::from_be_bytes(*number),
        Duration::from_nanos(u64::from_be_bytes(*nanos)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Layout;

    #[test]
    fn values_carry_their_number_and_time() {
        for bytes in [0, 64] {
            let size = Size {
                keys: 1,
                value: bytes,
                watchers: 1,
                layout: Layout::Directory,
            };
            let base = Instant::now();
            let value = value(&size, 7, base);
            let (number, called) = parse(&value).unwrap();
            assert_eq!((number, value.len()), (7, bytes.max(16)));
            assert!(called <= base.elapsed());
        }
        assert_eq!(parse(b"short"), None);
    }
}
