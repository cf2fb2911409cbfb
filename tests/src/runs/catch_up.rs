//! A watcher that resumes after a long absence: the time until it has received its few events out
//! of very many versions, and the effect on concurrent writers.
//!
//! The daemon's CPU time cannot be attributed to individual tasks, and other load on the machine
//! slows everything down. The run therefore uses two daemons with the same history. In each round a
//! writer writes to the first daemon while a watcher catches up with the second, and then while it
//! catches up with the first, so the load on the machine is the same. The first daemon's CPU time
//! for both, less the second's for the catch-up, is the cost of the commits during a catch-up.
//! After each round the second daemon receives as many writes, so that both have equally much
//! history after the watcher's events: a daemon keeps reading it until it learns that the watch is
//! cancelled.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use kvs_client::{Namespace, Position, Transaction, WatchOptions};

use crate::load::pipeline::{IN_FLIGHT, Pipeline};
use crate::load::sequence_check::Sequence;
use crate::measuring::paired_runs::Pairs;
use crate::measuring::report::Report;
use kvs_testkit::median;
use kvs_testkit::{Daemon, Home};

/// Number of keys written by others.
const KEYS: u64 = 1_000;

/// Size of their values in bytes.
const VALUE_BYTES: usize = 64;

/// Versions after the missed ones. The daemon keeps the newest versions in memory, and the measured
/// reads must come from the journal.
const NEWER: u64 = 60_000;

/// Options of a daemon that does not trim during the run and does not busy-poll.
const OPTIONS: [&str; 6] = [
    "--retain-versions",
    "100000000",
    "--retain-bytes",
    "64G",
    "--busy-poll",
    "0",
];

/// Maximum increase of the CPU time per commit, in percent.
const TARGET_GROWTH: f64 = 5.0;

/// Parameters of the run.
#[derive(Clone, Debug, clap::Args)]
pub struct CatchUp {
    /// Number of versions that the watcher missed
    #[arg(long, default_value_t = Self::LONG.versions)]
    pub versions: u64,
    /// Number of these versions that match the watch
    #[arg(long, default_value_t = Self::LONG.events)]
    pub events: u64,
    /// Number of rounds; each catches up alone and beside a writer
    #[arg(long, default_value_t = Self::LONG.rounds)]
    pub rounds: u64,
    /// Commits of the writer during a catch-up
    #[arg(long, default_value_t = Self::LONG.commits)]
    pub commits: u64,
}

/// A daemon with history.
struct Past {
    daemon: Daemon,
    pipeline: Pipeline,
    watcher: Namespace,
    /// The last position of the watcher.
    left: Position,
    put: u64,
}

/// The figures of all rounds.
#[derive(Default)]
struct Figures {
    seconds: Vec<f64>,
    busy_ms: Vec<f64>,
    read_mb: Vec<f64>,
    /// Time to catch up during commits.
    seconds_beside: Vec<f64>,
    /// CPU time per commit without other load.
    commit_us: Vec<f64>,
    /// CPU time per commit during a catch-up, with the other daemon and with its own.
    pairs: Pairs,
}

impl CatchUp {
    /// The full size.
    pub const LONG: Self = Self {
        versions: 1_000_000,
        events: 10,
        rounds: 20,
        commits: 32_000,
    };

    /// A short run.
    pub const SHORT: Self = Self {
        versions: 20_000,
        events: 10,
        rounds: 2,
        commits: 5_000,
    };

    /// Performs the run.
    ///
    /// # Errors
    /// If a put fails, or the watcher receives anything but its events.
    pub async fn run(&self, directory: &Path) -> anyhow::Result<Report> {
        let home = Home::in_directory(directory)?;
        let daemon = home.start_with(&OPTIONS)?;
        let other_home = Home::in_directory(directory)?;
        let other = other_home.start_with(&OPTIONS)?;
        let (mut past, mut other) = (self.past(daemon).await?, self.past(other).await?);
        let mut found = Figures::default();
        for round in 0..self.rounds {
            let before = past.put;
            self.round(round, &mut past, &other, &mut found).await?;
            other.pipeline_of(past.put - before).await?;
        }
        let about = format!(
            "a watcher of one key comes back after {} versions, {} of which concern it; {} times alone and as often beside {} pipelined puts ({IN_FLIGHT} in flight), to its own daemon and to another in turns; medians; out of the journal, files in the page cache",
            self.versions, self.events, self.rounds, self.commits
        );
        let mut report = Report::new("catch-up", about);
        report.figure("seconds", median(&mut found.seconds));
        report.figure("seconds_beside_a_writer", median(&mut found.seconds_beside));
        report.figure("processor_ms", median(&mut found.busy_ms));
        report.figure("read_mb", median(&mut found.read_mb));
        report.figure("commit_processor_us_alone", median(&mut found.commit_us));
        report.figure("commit_processor_us_other", found.pairs.without());
        report.figure("commit_processor_us_beside", found.pairs.with());
        report.figure("growth_percent", found.pairs.growth_percent());
        report.held("the watcher was told what concerns it, once, in order, and nothing else");
        report.at_most(
            "percent more processor time for a commit beside it",
            found.pairs.growth_percent(),
            TARGET_GROWTH,
        );
        Ok(report)
    }

    /// Writes the versions that the watcher misses.
    async fn past(&self, daemon: Daemon) -> anyhow::Result<Past> {
        let mut past = Past {
            pipeline: Pipeline::to(&daemon).await?,
            watcher: daemon.primary().await?,
            left: daemon.primary().await?.put("mine", "0").await?.position,
            daemon,
            put: 0,
        };
        let every = (self.versions / self.events.max(1)).max(1);
        for event in 1..=self.events {
            past.pipeline_of(every - 1).await?;
            let mine = Transaction::new().put("mine", event.to_string());
            past.pipeline.commit(mine.no_merge()).await?;
        }
        past.pipeline_of(NEWER).await?;
        Ok(past)
    }

    async fn round(
        &self,
        round: u64,
        past: &mut Past,
        other: &Past,
        found: &mut Figures,
    ) -> anyhow::Result<()> {
        found.commit_us.push(past.window(self.commits).await?);
        let (counters, others) = (past.daemon.counters(), other.daemon.counters());
        let (busy, read) = (counters.busy_ns()?, counters.read()?);
        found
            .seconds
            .push(catch_up(&past.watcher, past.left, self.events).await?);
        found
            .busy_ms
            .push((counters.busy_ns()? - busy) as f64 / 1e6);
        found.read_mb.push((counters.read()? - read) as f64 / 1e6);

        let (mut without, mut with, mut catching) = (0.0, 0.0, 0.0);
        for own in [!Pairs::without_first(round), Pairs::without_first(round)] {
            let from = if own { &*past } else { other };
            let (watcher, left) = (from.watcher.clone(), from.left);
            let busy = (counters.busy_ns()?, others.busy_ns()?);
            let (caught, written) = tokio::join!(
                catch_up(&watcher, left, self.events),
                past.pipeline_of(self.commits)
            );
            written?;
            let seconds = caught?;
            let busy = (counters.busy_ns()? - busy.0, others.busy_ns()? - busy.1);
            if own {
                with = busy.0 as f64;
                found.seconds_beside.push(seconds);
            } else {
                (without, catching) = (busy.0 as f64, busy.1 as f64);
            }
        }
        let a_commit = |busy: f64| busy / 1e3 / self.commits as f64;
        found
            .pairs
            .push(a_commit(without), a_commit(with - catching));
        Ok(())
    }
}

impl Past {
    /// Returns the daemon's CPU time per commit in microseconds, over `commits` commits.
    async fn window(&mut self, commits: u64) -> anyhow::Result<f64> {
        let busy = self.daemon.counters().busy_ns()?;
        self.pipeline_of(commits).await?;
        let busy = self.daemon.counters().busy_ns()? - busy;
        Ok(busy as f64 / 1e3 / commits as f64)
    }

    /// Makes `commits` commits, each a version of its own.
    async fn pipeline_of(&mut self, commits: u64) -> anyhow::Result<()> {
        for _ in 0..commits {
            let key = format!("d.k{:04}", self.put % KEYS);
            let value = vec![self.put as u8; VALUE_BYTES];
            self.put += 1;
            let put = Transaction::new().put(key, value).no_merge();
            self.pipeline.commit(put).await?;
        }
        Ok(self.pipeline.finish().await?)
    }
}

/// Receives `events` events after a position; returns the time in seconds.
async fn catch_up(watcher: &Namespace, left: Position, events: u64) -> anyhow::Result<f64> {
    let start = Instant::now();
    let options = WatchOptions::new().key("mine").after(left);
    let mut stream = watcher.watch(options).await?;
    let mut sequence = Sequence::new(1, left.version);
    for event in 0..events {
        let told = sequence.take(&stream.recv().await?);
        told.with_context(|| format!("event {event}"))?;
    }
    Ok(start.elapsed().as_secs_f64())
}
