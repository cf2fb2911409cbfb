//! Watches that come and go, thousands a second, while values are written and versions trimmed:
//! each is told exactly what was written from its start on, and nothing of it stays in the daemon.
//!
//! One writer puts the numbers from 1 on to one key, each in a version of its own, so a number
//! tells its version. Some of the watches begin in the past. A few stand all the time.

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

/// Values written before at a time, and at most, until some are trimmed.
const FILL_STEP: u64 = 10_000;
const FILL_MAX: u64 = 1_000_000;

/// Versions that the daemon retains at least.
const RETAINED: u64 = 1_000;

/// How far back a watch begins at most: well within what is retained.
const BACK: u64 = 200;

/// Most events that a watch takes before it is cancelled.
const TAKEN: u64 = 3;

/// Events that are on their way to a watch at most, those that it does not wait for included.
const AHEAD: u64 = 8;

/// Connections of those who watch, and how many of them are on each.
const CONNECTIONS: u64 = 8;
const WATCHERS: u64 = 16;

/// Watches that stand all the time.
const STANDING: u64 = 4;

/// How often the pace is kept, in a second.
const TICKS: u64 = 500;

/// Most MiB that the daemon may have grown by in the end.
const TARGET_MIB: f64 = 4.0;

/// How the run is made.
#[derive(Clone, Debug, clap::Args)]
pub struct WatchChurn {
    /// Watches made and cancelled in a second
    #[arg(long, default_value_t = Self::LONG.rate)]
    pub rate: u64,
    /// Values written in a second
    #[arg(long, default_value_t = Self::LONG.writes)]
    pub writes: u64,
    /// Values written before at least, so that the daemon remembers as many as it ever does
    #[arg(long, default_value_t = Self::LONG.fill)]
    pub fill: u64,
    /// Seconds that count, after a few that do not
    #[arg(long, default_value_t = Self::LONG.seconds)]
    pub seconds: u64,
    /// Seconds before that, at the same pace
    #[arg(long, default_value_t = Self::LONG.warm_up)]
    pub warm_up: u64,
}

/// What all tasks of a run share.
struct Shared {
    writing: AtomicBool,
    /// The newest number that was answered.
    written: AtomicU64,
    /// The last number of all, once that is known.
    last: AtomicU64,
    /// The version of number 0.
    base: u64,
    events: AtomicU64,
}

impl WatchChurn {
    /// As large as the promise.
    pub const LONG: Self = Self {
        rate: 10_000,
        writes: 5_000,
        fill: 150_000,
        seconds: 30,
        warm_up: 10,
    };

    /// Small, for a first look.
    pub const SHORT: Self = Self {
        rate: 5_000,
        writes: 8_000,
        fill: 20_000,
        seconds: 3,
        warm_up: 2,
    };

    /// Runs it.
    ///
    /// # Errors
    /// A watch was not told exactly what it should, or nothing is ever trimmed.
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
        // Those who stand see by one more that it is over.
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

    /// Makes and cancels watches at the pace for so long; the seconds that it took.
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

/// Whether the first numbers are not retained any more.
async fn is_trimmed(primary: &Namespace) -> anyhow::Result<bool> {
    let options = WatchOptions::new().key(KEY).from_version(2).prefetch(1);
    let mut old = primary.watch(options).await?;
    Ok(matches!(old.recv().await?, Event::Gap(_)))
}

/// Watches and cancels whenever it is its turn.
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

/// Takes every number until the last.
async fn stand(mut stream: WatchStream, shared: Arc<Shared>) -> anyhow::Result<()> {
    let mut sequence = Sequence::new(1, shared.base);
    while sequence.taken() < shared.last.load(Ordering::Relaxed) {
        sequence.take(&stream.recv().await?)?;
    }
    Ok(())
}

/// Puts the numbers after `number` at a pace until it is told to stop; the last of them.
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

/// Puts a number, and notes the answer to an earlier one.
async fn put(pipeline: &mut Pipeline, number: u64, shared: &Shared) -> anyhow::Result<()> {
    let put = Transaction::new().put(KEY, number.to_string());
    match pipeline.commit(put).await? {
        Some(answer) => note(shared, answer.position.version),
        None => Ok(()),
    }
}

/// Notes that the next number was answered.
fn note(shared: &Shared, version: u64) -> anyhow::Result<()> {
    let number = shared.written.fetch_add(1, Ordering::Relaxed) + 1;
    ensure!(
        version == shared.base + number,
        "{number} is in version {version}, counted from {}",
        shared.base
    );
    Ok(())
}
