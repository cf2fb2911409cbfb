//! Creates and cancels thousands of watches per second while values are written and versions
//! trimmed: each watch receives exactly the values written since its start, and the daemon leaks
//! nothing.
//!
//! One writer puts the numbers from 1 on to one key, each in its own version, so a number
//! determines its version. Some of the watches start in the past. A few stay open all the time.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kvs_client::{Event, Namespace, Transaction, WatchOptions, WatchStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::load::pipeline::Pipeline;
use crate::load::sequence_check::Sequence;
use crate::measuring::report::Report;
use kvs_testkit::Random;
use kvs_testkit::{Daemon, Home};

/// The key that is written and watched.
const KEY: &str = "state";

/// Values written per step, and in total at most, until some are trimmed.
const FILL_STEP: u64 = 10_000;
const FILL_MAX: u64 = 1_000_000;

/// Minimum number of versions retained by the daemon.
const RETAINED: u64 = 1_000;

/// Maximum number of versions by which a watch starts in the past: well within retention.
const BACK: u64 = 200;

/// Maximum number of events a watch receives before it is cancelled.
const TAKEN: u64 = 3;

/// Maximum number of events in flight to a watch, including those that it does not wait for.
const AHEAD: u64 = 8;

/// Number of connections, and of watching tasks on each.
const CONNECTIONS: u64 = 8;
const WATCHERS: u64 = 16;

/// Number of watches that stay open all the time.
const STANDING: u64 = 4;

/// Ticks per second that control the rates.
const TICKS: u64 = 500;

/// Maximum final growth of the daemon's memory in MiB.
const TARGET_MIB: f64 = 4.0;

/// Parameters of the run.
#[derive(Clone, Debug, clap::Args)]
pub struct WatchChurn {
    /// Watches created and cancelled per second
    #[arg(long, default_value_t = Self::LONG.rate)]
    pub rate: u64,
    /// Values written per second
    #[arg(long, default_value_t = Self::LONG.writes)]
    pub writes: u64,
    /// Minimum number of values written in advance, so that the daemon is in its steady state
    #[arg(long, default_value_t = Self::LONG.fill)]
    pub fill: u64,
    /// Measured seconds, after the warm-up
    #[arg(long, default_value_t = Self::LONG.seconds)]
    pub seconds: u64,
    /// Seconds of warm-up at the same rate
    #[arg(long, default_value_t = Self::LONG.warm_up)]
    pub warm_up: u64,
}

/// State shared by all tasks of a run.
struct Shared {
    writing: AtomicBool,
    /// The newest acknowledged number.
    written: AtomicU64,
    /// The last number of the run, once known.
    last: AtomicU64,
    /// The version of number 0.
    base: u64,
    events: AtomicU64,
}

impl WatchChurn {
    /// The full size.
    pub const LONG: Self = Self {
        rate: 10_000,
        writes: 5_000,
        fill: 150_000,
        seconds: 30,
        warm_up: 10,
    };

    /// A short run.
    pub const SHORT: Self = Self {
        rate: 5_000,
        writes: 8_000,
        fill: 20_000,
        seconds: 3,
        warm_up: 2,
    };

    /// Performs the run.
    ///
    /// # Errors
    /// If a watch does not receive exactly its events, or nothing is ever trimmed.
    pub async fn run(&self, directory: &Path) -> anyhow::Result<Report> {
        let home = Home::in_directory(directory)?;
        let retained = RETAINED.to_string();
        let daemon = home.start_with(&[
            "--retain-versions",
            &retained,
            "--retain-time",
            "100ms",
            "--busy-poll",
            "0",
        ])?;
        let primary = daemon.primary().await?;
        let shared = Arc::new(Shared {
            writing: AtomicBool::new(true),
            written: AtomicU64::new(0),
            last: AtomicU64::new(u64::MAX),
            base: primary.put(KEY, "0").await?.position.version,
            events: AtomicU64::new(0),
        });
        let mut standing = JoinSet::new();
        for _ in 0..STANDING {
            let stream = daemon.primary().await?;
            let stream = stream.watch(WatchOptions::new().key(KEY)).await?;
            standing.spawn(stand(stream, shared.clone()));
        }
        let mut writer = Pipeline::to(&daemon).await?;
        let mut filled = 0;
        while filled < self.fill || !is_trimmed(&primary).await? {
            ensure!(filled < FILL_MAX, "nothing is trimmed");
            for number in filled + 1..=filled + FILL_STEP {
                put(&mut writer, number, &shared).await?;
            }
            filled += FILL_STEP;
        }
        let writing = tokio::spawn(write(writer, filled, self.writes, shared.clone()));
        let counters = daemon.counters();
        let start = counters.memory_kib()?;
        self.churn(&daemon, self.warm_up, &shared).await?;
        let before = counters.memory_kib()?;
        let (events, busy) = (shared.events.load(Ordering::Relaxed), counters.busy_ns()?);
        let seconds = self.churn(&daemon, self.seconds, &shared).await?;
        let events = shared.events.load(Ordering::Relaxed) - events;
        let busy = counters.busy_ns()? - busy;
        let after = counters.memory_kib()?;
        shared.writing.store(false, Ordering::Relaxed);
        let numbers = writing.await??;
        // One more value tells the permanent watches that the run is over.
        shared.last.store(numbers + 1, Ordering::Relaxed);
        primary.put(KEY, (numbers + 1).to_string()).await?;
        while let Some(told) = standing.join_next().await {
            told??;
        }
        let watches = (self.rate * self.seconds) as f64;
        let grown = (after as f64 - before as f64) / 1024.0;
        let about = format!(
            "{} watches made and cancelled a second for {} s, after {} s of the same, by {} tasks on {CONNECTIONS} connections, each taking up to {TAKEN} events, a third beginning up to {BACK} versions back; {} values to their key before and {} a second meanwhile, {RETAINED} versions retained; {STANDING} watches stand all the time",
            self.rate,
            self.seconds,
            self.warm_up,
            CONNECTIONS * WATCHERS,
            self.fill,
            self.writes
        );
        let mut report = Report::new("watch-churn", about);
        report.figure("watches", watches);
        report.figure("seconds", seconds);
        report.figure("watches_per_s", watches / seconds);
        report.figure("events", events as f64);
        report.figure("values", numbers as f64);
        report.figure("processor_percent", busy as f64 / 1e7 / seconds);
        report.figure("memory_at_the_start_mib", start as f64 / 1024.0);
        report.figure("memory_before_mib", before as f64 / 1024.0);
        report.figure("memory_after_mib", after as f64 / 1024.0);
        report.held("every watch was told each value from its start on, once and in order");
        report.at_most("seconds for all", seconds, self.seconds as f64 * 1.02);
        report.at_most("MiB that the daemon has grown by", grown, TARGET_MIB);
        Ok(report)
    }

    /// Creates and cancels watches at the given rate; returns the time in seconds.
    async fn churn(
        &self,
        daemon: &Daemon,
        seconds: u64,
        shared: &Arc<Shared>,
    ) -> anyhow::Result<f64> {
        let turns = Arc::new(Semaphore::new(0));
        let mut tasks = JoinSet::new();
        for connection in 0..CONNECTIONS {
            let primary = daemon.primary().await?;
            for watcher in 0..WATCHERS {
                let random = Random::new(connection * WATCHERS + watcher);
                tasks.spawn(come_and_go(
                    primary.clone(),
                    turns.clone(),
                    random,
                    shared.clone(),
                ));
            }
        }
        let start = Instant::now();
        let mut ticks = interval(Duration::from_secs(1) / TICKS as u32);
        for _ in 0..seconds * TICKS {
            ticks.tick().await;
            turns.add_permits((self.rate / TICKS) as usize);
        }
        while turns.available_permits() > 0 && !tasks.is_empty() {
            ticks.tick().await;
        }
        turns.close();
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok(start.elapsed().as_secs_f64())
    }
}

/// Returns whether the first numbers are no longer retained.
async fn is_trimmed(primary: &Namespace) -> anyhow::Result<bool> {
    let options = WatchOptions::new().key(KEY).from_version(2).prefetch(1);
    let mut old = primary.watch(options).await?;
    Ok(matches!(old.recv().await?, Event::Gap(_)))
}

/// Opens and cancels a watch for each permit.
async fn come_and_go(
    primary: Namespace,
    turns: Arc<Semaphore>,
    mut random: Random,
    shared: Arc<Shared>,
) -> anyhow::Result<()> {
    while let Ok(turn) = turns.acquire().await {
        turn.forget();
        let mut options = WatchOptions::new().key(KEY).prefetch(AHEAD);
        let back = random.below(3) == 0;
        if back {
            let newest = shared.base + shared.written.load(Ordering::Relaxed);
            let from = newest.saturating_sub(random.below(BACK));
            options = options.from_version(from.max(shared.base + 1));
        }
        let mut stream = primary.watch(options).await?;
        let started = stream.started().context("the watch does not stand")?;
        let first = started.version + 1 - shared.base;
        let mut sequence = Sequence::new(first, started.version);
        let wanted = random.below(TAKEN + 1);
        for _ in 0..wanted {
            let event = stream.recv().await?;
            let told = sequence.take(&event);
            told.with_context(|| format!("a watch from {first}, back: {back}"))?;
        }
        shared.events.fetch_add(wanted, Ordering::Relaxed);
    }
    Ok(())
}

/// Receives every number up to the last.
async fn stand(mut stream: WatchStream, shared: Arc<Shared>) -> anyhow::Result<()> {
    let mut sequence = Sequence::new(1, shared.base);
    while sequence.taken() < shared.last.load(Ordering::Relaxed) {
        sequence.take(&stream.recv().await?)?;
    }
    Ok(())
}

/// Puts the numbers after `number` at a given rate until stopped; returns the last one.
async fn write(
    mut pipeline: Pipeline,
    mut number: u64,
    per_second: u64,
    shared: Arc<Shared>,
) -> anyhow::Result<u64> {
    let mut ticks = interval(Duration::from_secs(1) / TICKS as u32);
    while shared.writing.load(Ordering::Relaxed) {
        ticks.tick().await;
        for _ in 0..per_second / TICKS {
            number += 1;
            put(&mut pipeline, number, &shared).await?;
        }
    }
    while let Some(answer) = pipeline.next().await {
        note(&shared, answer?.position.version)?;
    }
    Ok(number)
}

/// Puts a number and records the answer to an earlier one.
async fn put(pipeline: &mut Pipeline, number: u64, shared: &Shared) -> anyhow::Result<()> {
    let put = Transaction::new().put(KEY, number.to_string());
    match pipeline.commit(put).await? {
        Some(answer) => note(shared, answer.position.version),
        None => Ok(()),
    }
}

/// Records that the next number was acknowledged.
fn note(shared: &Shared, version: u64) -> anyhow::Result<()> {
    let number = shared.written.fetch_add(1, Ordering::Relaxed) + 1;
    ensure!(
        version == shared.base + number,
        "{number} is in version {version}, counted from {}",
        shared.base
    );
    Ok(())
}
