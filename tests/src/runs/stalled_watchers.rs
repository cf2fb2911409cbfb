//! Many watchers of one key, some of which never read: the others receive every value, the writer
//! does not wait for any of them, and the daemon buffers nothing for those that are behind.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Context;
use kvs_client::{Client, Options, WatchOptions, WatchStream};
use tokio::task::JoinSet;

use crate::load::rate_limited_writer::write_paced;
use crate::load::sequence_check::Sequence;
use crate::load::stalled_transport::StallingConnector;
use crate::measuring::report::Report;
use kvs_testkit::Counters;
use kvs_testkit::{Daemon, Home};
use kvs_testkit::{median, percentile};

/// The watched key.
const KEY: &str = "state";

/// Maximum growth of the daemon's memory in MiB.
const TARGET_MIB: f64 = 50.0;

/// Maximum ratio of the writer's latency to that with one watcher.
const TARGET_RATIO: f64 = 1.5;

/// Parameters of the run.
#[derive(Clone, Debug, clap::Args)]
pub struct StalledWatchers {
    /// Number of watchers of the key
    #[arg(long, default_value_t = Self::LONG.watchers)]
    pub watchers: u64,
    /// Number of watchers that never read, each on its own connection
    #[arg(long, default_value_t = Self::LONG.stalled)]
    pub stalled: u64,
    /// Number of connections that the other watchers share
    #[arg(long, default_value_t = Self::LONG.connections)]
    pub connections: u64,
    /// Number of values written
    #[arg(long, default_value_t = Self::LONG.values)]
    pub values: u64,
    /// Values written per second
    #[arg(long, default_value_t = Self::LONG.rate)]
    pub rate: u64,
}

/// The cost of writing a number of values.
struct Cost {
    latency: f64,
    latency_p99: f64,
    seconds: f64,
    processor: f64,
    own_processor: f64,
}

impl StalledWatchers {
    /// The full size.
    pub const LONG: Self = Self {
        watchers: 1_000,
        stalled: 10,
        connections: 10,
        values: 10_000,
        rate: 500,
    };

    /// A short run.
    pub const SHORT: Self = Self {
        watchers: 200,
        stalled: 10,
        connections: 10,
        values: 1_000,
        rate: 500,
    };

    /// Performs the run.
    ///
    /// # Errors
    /// If a watcher misses a value; names the first one.
    pub async fn run(&self, directory: &Path) -> anyhow::Result<Report> {
        let home = Home::in_directory(directory)?;
        let daemon = home.start()?;
        // Measured in halves before and after, because the speed of a disk varies.
        let few = self.values / 4;
        let before = self.one(&daemon, 0..few).await?;

        let start = daemon.counters().memory_kib()?;
        let (idle, switch) = self.stalling(&daemon).await?;
        let reading = self.watch(&daemon).await?;
        switch.store(true, Ordering::Relaxed);
        let standing = daemon.counters().memory_kib()?;
        let crowd = self.write(&daemon, few..few + self.values, reading).await?;
        let peak = daemon.counters().peak_memory_kib()?;
        drop(idle);

        let end = few + self.values;
        let after = self.one(&daemon, end..end + few).await?;
        let alone = (before.latency + after.latency) / 2.0;
        let deliveries = ((self.watchers - self.stalled) * self.values) as f64;
        let processor = crowd.processor / deliveries;
        let grown = (peak as f64 - standing as f64) / 1024.0;
        let about = format!(
            "{} watchers of one key, {} of them on a connection each of which nothing is read and the others on {} connections; {} values at {} a second, one at a time; before and after it {} values each with one watcher; all on one machine",
            self.watchers, self.stalled, self.connections, self.values, self.rate, few
        );
        let mut report = Report::new("stalled-watchers", about);
        report.figure("delivered", deliveries);
        report.figure("seconds", crowd.seconds);
        report.figure("values_per_s", self.values as f64 / crowd.seconds);
        report.figure("latency_us", crowd.latency);
        report.figure("latency_p99_us", crowd.latency_p99);
        report.figure("latency_of_one_watcher_us", alone);
        report.figure("latency_of_one_watcher_p99_us", after.latency_p99);
        report.figure("processor_us_a_delivery", processor / 1e3);
        report.figure(
            "processor_us_a_value_of_one_watcher",
            before.processor / 1e3 / few as f64,
        );
        report.figure(
            "watchers_processor_us_a_delivery",
            crowd.own_processor / 1e3 / deliveries,
        );
        report.figure("memory_grown_mib", grown);
        report.figure(
            "memory_of_watchers_mib",
            (standing as f64 - start as f64) / 1024.0,
        );
        report.held("every watcher that reads got every value once, in order");
        report.at_most(
            "MiB of memory above where it was with all watchers",
            grown,
            TARGET_MIB,
        );
        report.at_most(
            "the writer's median latency, to that with one watcher",
            crowd.latency / alone,
            TARGET_RATIO,
        );
        Ok(report)
    }

    /// Creates watchers on connections that stop reading once the switch is set.
    async fn stalling(
        &self,
        daemon: &Daemon,
    ) -> anyhow::Result<(Vec<WatchStream>, Arc<AtomicBool>)> {
        let stalled = Arc::new(AtomicBool::new(false));
        let mut idle = Vec::new();
        for _ in 0..self.stalled {
            let connector = StallingConnector {
                inner: daemon.connector(),
                stalled: stalled.clone(),
            };
            let client = Client::connect_with(connector, Options::default()).await?;
            // Maximum credit: the full socket must stop the daemon.
            let options = WatchOptions::new().key(KEY);
            let options = options.prefetch(u64::MAX).prefetch_bytes(u64::MAX);
            idle.push(client.namespace("primary").watch(options).await?);
        }
        Ok((idle, stalled))
    }

    async fn watch(&self, daemon: &Daemon) -> anyhow::Result<Vec<WatchStream>> {
        let mut clients = Vec::new();
        for _ in 0..self.connections {
            clients.push(daemon.primary().await?);
        }
        let mut reading = Vec::new();
        for primary in clients.iter().cycle().take(self.reading()) {
            reading.push(primary.watch(WatchOptions::new().key(KEY)).await?);
        }
        Ok(reading)
    }

    fn reading(&self) -> usize {
        (self.watchers - self.stalled) as usize
    }

    /// Writes the numbers with one watcher.
    async fn one(&self, daemon: &Daemon, numbers: std::ops::Range<u64>) -> anyhow::Result<Cost> {
        let primary = daemon.primary().await?;
        let stream = primary.watch(WatchOptions::new().key(KEY)).await?;
        self.write(daemon, numbers, vec![stream]).await
    }

    /// Writes these numbers and checks that all streams deliver them.
    async fn write(
        &self,
        daemon: &Daemon,
        numbers: std::ops::Range<u64>,
        streams: Vec<WatchStream>,
    ) -> anyhow::Result<Cost> {
        let mut watching = JoinSet::new();
        for stream in streams {
            watching.spawn(receive(stream, numbers.clone()));
        }
        let (theirs, own) = (daemon.counters(), Counters::own());
        let busy = (theirs.busy_ns()?, own.busy_ns()?);
        let start = Instant::now();
        let mut latencies = write_paced(daemon, KEY, numbers, self.rate).await?;
        while let Some(received) = watching.join_next().await {
            received??;
        }
        Ok(Cost {
            seconds: start.elapsed().as_secs_f64(),
            processor: (theirs.busy_ns()? - busy.0) as f64,
            own_processor: (own.busy_ns()? - busy.1) as f64,
            latency: median(&mut latencies),
            latency_p99: percentile(&mut latencies, 99),
        })
    }
}

/// Receives events and checks that they have these numbers.
async fn receive(mut stream: WatchStream, numbers: std::ops::Range<u64>) -> anyhow::Result<()> {
    let started = stream.started().context("the watch does not stand")?;
    let mut sequence = Sequence::new(numbers.start, started.version);
    for _ in numbers {
        sequence.take(&stream.recv().await?)?;
    }
    Ok(())
}
