//! Random requests on a tree made huge by copying: measures the largest slices of work of the
//! daemon, by its own counters, and the latency of another client's gets meanwhile.

mod worker;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, ensure};
use kvs_client::{Client, Transaction};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::load::control::control;
use crate::load::dedicated_thread::apart;
use crate::measuring::report::Report;
use kvs_testkit::Random;
use kvs_testkit::percentile;
use kvs_testkit::{Daemon, Home, PATIENCE};
use worker::{DOUBLINGS, FEW, LONG_BYTES, LONGER, Tally, Worker, few, longer};

/// Number of requests in flight, each on its own connection.
const AT_ONCE: u64 = 8;

/// Maximum visits of a slice: `SLICE_VISITS` of the engine.
const SLICE_VISITS: f64 = 256.0;

/// Maximum visits of one item, a part of an event that is encoded as a whole. An item starts as
/// long as the slice has a visit left.
const ITEM_VISITS: f64 = 640.0;

/// Size of each of the longer values in bytes.
const LONGER_BYTES: usize = 16 * 1024;

/// Maximum duration of a slice in milliseconds of thread time.
const TARGET_SLICE_MS: f64 = 1.0;

/// The kinds of slices, as named by the daemon's counters.
const KINDS: [&str; 6] = ["list", "read", "lookup_many", "nodes", "log", "watch"];

/// Parameters of the run.
#[derive(Clone, Debug, clap::Args)]
pub struct Slices {
    /// Number of requests, 8 of them in flight
    #[arg(long, default_value_t = Self::LONG.requests)]
    pub requests: u64,
}

impl Slices {
    /// The full size.
    pub const LONG: Self = Self { requests: 50_000 };

    /// A short run.
    pub const SHORT: Self = Self { requests: 500 };

    /// Performs the run.
    ///
    /// # Errors
    /// If a request fails or is not answered, a slice exceeds its maximum of visits, or the daemon
    /// does not stop cleanly.
    pub async fn run(&self, directory: &Path, seed: u64) -> anyhow::Result<Report> {
        let home = Home::in_directory(directory)?;
        let daemon = home.start()?;
        let client = daemon.connect().await?;
        grow(&client).await?;
        let begin = Instant::now();
        let done = Arc::new(AtomicBool::new(false));
        let (mut gets, mut control, tally) = tokio::try_join!(
            gets(&daemon, done.clone()),
            control(done.clone()),
            self.work(&daemon, seed, &done)
        )?;
        let seconds = begin.elapsed().as_secs_f64();
        let counters = client.status().await?.counters;
        let counter = |name: &str| {
            let found = counters.get(name).map(|value| *value as f64);
            found.with_context(|| format!("the daemon does not count {name}"))
        };
        let (slices, visits) = (counter("slices")?, counter("slice_visits")?);
        let most = counter("slice_visits_max")?;
        let longest_ms = counter("slice_max_ns")? / 1e6;
        let (long, slices_ms) = (counter("slice_long")?, counter("slice_total_ns")? / 1e6);
        let mut kinds = Vec::new();
        for kind in KINDS {
            let longest = counter(&format!("slice_max_ns_{kind}"))? / 1e6;
            kinds.push((format!("longest_slice_ms_{kind}"), longest));
        }
        ensure!(slices > 0.0, "nothing was done in slices");
        let bound = SLICE_VISITS + ITEM_VISITS;
        ensure!(most <= bound, "a slice of {most} visits, over {bound}");
        drop(client);
        daemon.stop_cleanly()?;

        let about = format!(
            "{} random requests of seed {seed}, {AT_ONCE} at a time, over a tree that {DOUBLINGS} rounds of copying made and copies of it; another client gets a key meanwhile, one get after the other. control: a loop that only computes, by the same clock",
            self.requests
        );
        let mut report = Report::new("slices", about);
        report.figure("requests_answered", tally.answered as f64);
        report.figure("pages_that_go_on", tally.cut as f64);
        report.figure("watches_that_told", tally.events as f64);
        report.figure("seconds", seconds);
        report.figure("slices", slices);
        report.figure("visits_a_slice", visits / slices);
        report.figure("most_visits", most);
        report.figure("longest_slice_ms", longest_ms);
        for (kind, longest) in kinds {
            report.figure(kind, longest);
        }
        let control_ms: f64 = control.iter().sum();
        let control_long = control.iter().filter(|ms| **ms > TARGET_SLICE_MS).count() as f64;
        let every = |long: f64, ms: f64| long / (ms / 1e3);
        report.figure("seconds_in_slices", slices_ms / 1e3);
        report.figure("slices_over_1_ms", long);
        report.figure("control_seconds", control_ms / 1e3);
        report.figure("control_over_1_ms", control_long);
        report.figure("control_loops", control.len() as f64);
        report.figure("control_p50_ms", percentile(&mut control, 50));
        report.figure("control_longest_ms", percentile(&mut control, 100));
        report.figure("gets", gets.len() as f64);
        report.figure("get_p50_ms", percentile(&mut gets, 50));
        report.figure("get_p99_ms", percentile(&mut gets, 99));
        report.figure("get_longest_ms", percentile(&mut gets, 100));
        report.at_most("visits in the largest slice", most, bound);
        let what = "milliseconds of thread time of the longest slice";
        report.at_most(what, longest_ms, TARGET_SLICE_MS);
        let what =
            "slices over 1 ms a second of thread time, of which the control shows the machine's";
        let machine = every(control_long.max(1.0), control_ms);
        report.at_most(what, every(long, slices_ms), 2.0 * machine);
        report.held("every request was answered, and none with an error");
        Ok(report)
    }

    async fn work(&self, daemon: &Daemon, seed: u64, done: &AtomicBool) -> anyhow::Result<Tally> {
        let mut workers = JoinSet::new();
        for number in 0..AT_ONCE {
            let mut worker = Worker {
                primary: daemon.primary().await?,
                random: Random::new(Random::mix(seed.wrapping_add(number))),
                copy: format!("T{number}"),
                tally: Tally::default(),
            };
            let share = (number..self.requests).step_by(AT_ONCE as usize).count();
            workers.spawn(async move {
                worker.copy_again().await?;
                while worker.tally.answered < share as u64 {
                    let kind = worker.random.below(14);
                    timeout(PATIENCE, worker.request(kind))
                        .await
                        .with_context(|| format!("no answer, kind {kind}"))?
                        .with_context(|| format!("kind {kind}"))?;
                    worker.tally.answered += 1;
                }
                anyhow::Ok(worker.tally)
            });
        }
        let mut all = Tally::default();
        while let Some(ended) = workers.join_next().await {
            let one = ended??;
            all.answered += one.answered;
            all.cut += one.cut;
            all.events += one.events;
        }
        done.store(true, Ordering::Relaxed);
        Ok(all)
    }
}

/// Creates the tree and the other keys.
async fn grow(client: &Client) -> anyhow::Result<()> {
    let primary = client.namespace("primary");
    let mut first = Transaction::new().put("D.x", "v").put("a", "1");
    for number in 0..FEW {
        first = first.put(few(number), "v");
    }
    for number in 0..LONGER {
        first = first.put(longer(number), vec![b'v'; LONGER_BYTES]);
    }
    primary.commit(first).await?;
    primary.put("long", vec![b'v'; LONG_BYTES]).await?;
    for _ in 0..DOUBLINGS {
        let double = Transaction::new()
            .copy("D", "E")
            .copy("E", "D.a")
            .rename("E", "D.b");
        primary.commit(double).await?;
    }
    Ok(())
}

/// Gets a key until the others are done; returns the latencies in milliseconds.
async fn gets(daemon: &Daemon, done: Arc<AtomicBool>) -> anyhow::Result<Vec<f64>> {
    let connector = daemon.connector();
    apart("gets", async move || {
        let client = Client::connect_with(connector, kvs_client::Options::default()).await?;
        let primary = client.namespace("primary");
        let mut taken = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let start = Instant::now();
            let found = primary.get("a").await?;
            taken.push(start.elapsed().as_secs_f64() * 1e3);
            ensure!(found.as_deref() == Some(b"1"), "the key holds {found:?}");
        }
        Ok(taken)
    })
    .await
}
