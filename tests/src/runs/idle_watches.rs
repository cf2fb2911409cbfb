//! Measures the cost of idle watches: the daemon's CPU time per commit and its memory, with many
//! idle watches and without any.
//!
//! Two daemons receive the same commits alternately, one window at a time. First one of them has
//! all the watches, then the other, which cancels out other differences between the two.

use std::path::Path;
use std::time::Instant;

use kvs_client::{Client, Transaction, WatchOptions, WatchStream};

use crate::load::pipeline::{IN_FLIGHT, Pipeline};
use crate::measuring::paired_runs::Pairs;
use crate::measuring::report::Report;
use kvs_testkit::{Daemon, Home};

/// Number of keys written.
const KEYS: u64 = 1_000;

/// Size of a value in bytes.
const VALUE_BYTES: usize = 64;

/// Commits before measuring.
const WARM_UP: u64 = 20_000;

/// Maximum memory of the daemon per watch, in bytes.
const TARGET_BYTES: f64 = 400.0;

/// Maximum increase of the CPU time per commit, in percent.
const TARGET_GROWTH: f64 = 5.0;

/// Parameters of the run.
#[derive(Clone, Debug, clap::Args)]
pub struct IdleWatches {
    /// Number of watches, each on its own key
    #[arg(long, default_value_t = Self::LONG.watches)]
    pub watches: u64,
    /// Number of connections that share the watches
    #[arg(long, default_value_t = Self::LONG.connections)]
    pub connections: u64,
    /// Pairs of windows, with and without watches, for each of the two daemons
    #[arg(long, default_value_t = Self::LONG.rounds)]
    pub rounds: u64,
    /// Number of commits per window
    #[arg(long, default_value_t = Self::LONG.commits)]
    pub commits: u64,
}

/// A daemon and its pipeline of writes.
struct Side {
    daemon: Daemon,
    pipeline: Pipeline,
    put: u64,
}

impl IdleWatches {
    /// The full size.
    pub const LONG: Self = Self {
        watches: 100_000,
        connections: 100,
        rounds: 25,
        commits: 20_000,
    };

    /// A short run.
    pub const SHORT: Self = Self {
        watches: 20_000,
        connections: 20,
        rounds: 2,
        commits: 5_000,
    };

    /// Performs the run.
    ///
    /// # Errors
    /// If a request fails.
    pub async fn run(&self, directory: &Path) -> anyhow::Result<Report> {
        let homes = (
            Home::in_directory(directory)?,
            Home::in_directory(directory)?,
        );
        let mut bare = Side::start(&homes.0).await?;
        let mut watched = Side::start(&homes.1).await?;
        let counters = watched.daemon.counters();
        let start = counters.memory_kib()?;
        let mut clients = self.clients(&watched).await?;
        let connected = counters.memory_kib()?;
        let opening = Instant::now();
        let mut watches = self.watch(&clients).await?;
        let opening = opening.elapsed().as_secs_f64();
        let standing = counters.memory_kib()?;
        let first = self.windows(&mut bare, &mut watched).await?;

        drop((watches, clients));
        clients = self.clients(&bare).await?;
        watches = self.watch(&clients).await?;
        let second = self.windows(&mut watched, &mut bare).await?;
        drop(watches);
        let growth = (first.growth_percent() + second.growth_percent()) / 2.0;

        let bytes = |from: u64, to: u64| (to as f64 - from as f64) * 1024.0;
        let a_watch = bytes(start, standing) / self.watches as f64;
        let about = format!(
            "{} watches of a key each over {} connections; twice {} pairs of {} pipelined puts ({IN_FLIGHT} in flight) to other keys, in turns to a daemon with them and one without, which change roles after the first half",
            self.watches, self.connections, self.rounds, self.commits
        );
        let mut report = Report::new("idle-watches", about);
        report.figure("watches", self.watches as f64);
        report.figure("memory_bytes_a_watch", a_watch);
        report.figure(
            "memory_bytes_a_connection",
            bytes(start, connected) / self.connections as f64,
        );
        report.figure("opened_us_a_watch", opening * 1e6 / self.watches as f64);
        report.figure("processor_us_without", first.without());
        report.figure("processor_us_with", first.with());
        report.figure("processor_us_without_then", second.without());
        report.figure("processor_us_with_then", second.with());
        report.figure("growth_percent", growth);
        report.at_most(
            "bytes of memory for a watch, connections included",
            a_watch,
            TARGET_BYTES,
        );
        report.at_most(
            "percent more processor time for a commit",
            growth,
            TARGET_GROWTH,
        );
        Ok(report)
    }

    async fn clients(&self, side: &Side) -> anyhow::Result<Vec<Client>> {
        let mut clients = Vec::new();
        for _ in 0..self.connections {
            clients.push(side.daemon.connect().await?);
        }
        Ok(clients)
    }

    async fn watch(&self, clients: &[Client]) -> anyhow::Result<Vec<WatchStream>> {
        let mut opening = tokio::task::JoinSet::new();
        let share = self.watches.div_ceil(self.connections.max(1));
        for (number, client) in (0_u64..).zip(clients) {
            let primary = client.namespace("primary");
            let keys = number * share..self.watches.min((number + 1) * share);
            opening.spawn(async move {
                let mut watches = Vec::new();
                for key in keys {
                    let options = WatchOptions::new().key(format!("lwj.{key}.state"));
                    watches.push(primary.watch(options).await?);
                }
                anyhow::Ok(watches)
            });
        }
        let mut all = Vec::new();
        while let Some(opened) = opening.join_next().await {
            all.extend(opened??);
        }
        Ok(all)
    }

    async fn windows(&self, bare: &mut Side, watched: &mut Side) -> anyhow::Result<Pairs> {
        let mut pairs = Pairs::default();
        for round in 0..self.rounds {
            let (without, with);
            if Pairs::without_first(round) {
                without = bare.window(self.commits).await?;
                with = watched.window(self.commits).await?;
            } else {
                with = watched.window(self.commits).await?;
                without = bare.window(self.commits).await?;
            }
            pairs.push(without, with);
        }
        Ok(pairs)
    }
}

impl Side {
    async fn start(home: &Home) -> anyhow::Result<Self> {
        let daemon = home.start_without_polling()?;
        let pipeline = Pipeline::to(&daemon).await?;
        let mut side = Self {
            daemon,
            pipeline,
            put: 0,
        };
        side.window(WARM_UP).await?;
        Ok(side)
    }

    /// Returns the daemon's CPU time per commit in microseconds, over `commits` commits.
    async fn window(&mut self, commits: u64) -> anyhow::Result<f64> {
        let busy = self.daemon.counters().busy_ns()?;
        for _ in 0..commits {
            let key = format!("d.k{:04}", self.put % KEYS);
            let value = vec![self.put as u8; VALUE_BYTES];
            self.put += 1;
            self.pipeline
                .commit(Transaction::new().put(key, value))
                .await?;
        }
        self.pipeline.finish().await?;
        let busy = self.daemon.counters().busy_ns()? - busy;
        Ok(busy as f64 / 1e3 / commits as f64)
    }
}
