//! Random requests over a tree that copying made huge: how much the daemon does in one go, by its own
//! counters, and how long a get of another client waits meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kvs_client::{
    At, Client, ListOptions, LogOptions, LookupOptions, Mode, Namespace, Transaction, WatchOptions,
};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::apart::apart;
use crate::control::control;
use crate::daemon::{Daemon, Home, PATIENCE};
use crate::random::Random;
use crate::report::{Report, percentile};

/// Requests under way at a time, each on a connection of its own.
const AT_ONCE: u64 = 8;

/// Rounds of copying; each doubles the tree.
const DOUBLINGS: u64 = 24;

/// Keys of a directory beside the tree.
const FEW: u64 = 200;

/// How long an event is waited for before its watch is dropped.
const SHORT_WHILE: Duration = Duration::from_millis(20);

/// Visits of one slice: `SLICE_VISITS` of the engine.
const SLICE_VISITS: f64 = 512.0;

/// Most visits of one item, which is begun while a slice has a visit left: a part of an event, which
/// is encoded as a whole.
const ITEM_VISITS: f64 = 640.0;

/// Keys of a directory with longer values, and their length.
const LONGER: u64 = 64;
const LONGER_BYTES: usize = 16 * 1024;

/// Bytes of one long value.
const LONG_BYTES: usize = 2 * 1024 * 1024;

/// Longest slice in milliseconds of thread time.
const TARGET_SLICE_MS: f64 = 1.0;

/// Patterns over the whole tree: of nothing, of something, of all.
const PATTERNS: [&str; 4] = ["**.nothing", "D.*.b.**.nothing", "**.a.x", "**"];

/// How the run is made.
#[derive(Clone, Debug, clap::Args)]
pub struct Slices {
    /// Requests, 8 of them under way at a time
    #[arg(long, default_value_t = Self::LONG.requests)]
    pub requests: u64,
}

/// What was answered.
#[derive(Clone, Copy, Default)]
struct Tally {
    answered: u64,
    cut: u64,
    events: u64,
}

/// One after the other, requests that are drawn by lot.
struct Worker {
    primary: Namespace,
    random: Random,
    /// A copy of the tree of its own.
    copy: String,
    tally: Tally,
}

impl Slices {
    /// As large as the promise.
    pub const LONG: Self = Self { requests: 50_000 };

    /// Small, for a first look.
    pub const SHORT: Self = Self { requests: 500 };

    /// Runs it.
    ///
    /// # Errors
    /// A request failed or was not answered, a slice went further than it may, or the daemon did not end well.
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

impl Worker {
    async fn request(&mut self, kind: u64) -> anyhow::Result<()> {
        match kind {
            10 => self.read_long_values().await,
            0 => self.list_recursively().await,
            1 => self.list().await,
            2 => {
                let key = self.deep("D");
                let found = self.primary.lookup(key, LookupOptions::new()).await?;
                ensure!(found.entry.is_some(), "a key of the tree is not there");
                Ok(())
            }
            3 | 4 => {
                let keys: Vec<String> = (0..32).map(|_| self.deep("D")).collect();
                let found = self.primary.get_many(keys, At::Current).await?;
                let all = found.values.iter().all(|one| matches!(one, Ok(Some(_))));
                ensure!(all, "keys of the tree are not there");
                Ok(())
            }
            5 => self.log().await,
            6 => {
                let options = WatchOptions::new().scope(self.pattern()).initial();
                self.watch(options).await
            }
            7 => {
                let scope = match self.random.below(2) {
                    0 => self.pattern().to_owned(),
                    _ => "few".to_owned(),
                };
                let options = WatchOptions::new().scope(scope).mode(Mode::Latest);
                let options = match self.random.below(2) {
                    0 => options,
                    _ => options.initial(),
                };
                self.watch(options).await
            }
            8 => self.unlink_under_a_watch().await,
            9 => {
                let tree = self.copy.clone();
                let key = self.deep(&tree);
                self.put(key).await
            }
            _ => {
                let key = few(self.random.below(FEW));
                self.put(key).await
            }
        }
    }

    /// One page, which may end before it found anything.
    async fn list_recursively(&mut self) -> anyhow::Result<()> {
        let options = ListOptions::new()
            .recursive()
            .bounded()
            .scope(self.pattern())
            .limit(1 + self.random.below(1_000));
        let page = self.primary.list(".", options).await?;
        self.tally.cut += u64::from(page.more);
        Ok(())
    }

    async fn list(&mut self) -> anyhow::Result<()> {
        let dir = match self.random.below(3) {
            0 => ".",
            1 => "few",
            _ => "D.a.b",
        };
        let options = ListOptions::new().limit(1 + self.random.below(FEW));
        let page = self.primary.list(dir, options).await?;
        ensure!(!page.entries.is_empty(), "{dir} is empty");
        Ok(())
    }

    async fn read_long_values(&mut self) -> anyhow::Result<()> {
        match self.random.below(4) {
            0 => {
                let found = self.primary.get("long").await?;
                ensure!(found.is_some_and(|value| value.len() == LONG_BYTES));
                Ok(())
            }
            1 => {
                let keys: Vec<String> = (0..LONGER).map(longer).collect();
                let found = self.primary.get_many(keys, At::Current).await?;
                ensure!(!found.values.is_empty(), "nothing found");
                Ok(())
            }
            2 => {
                let page = self.primary.list("longer", ListOptions::new()).await?;
                ensure!(!page.entries.is_empty(), "no entries");
                Ok(())
            }
            _ => {
                let options = WatchOptions::new().scope("longer").initial();
                self.watch(options).await
            }
        }
    }

    async fn log(&mut self) -> anyhow::Result<()> {
        let scope = match self.random.below(2) {
            0 => self.pattern().to_owned(),
            _ => few(self.random.below(FEW)),
        };
        let options = LogOptions::new()
            .scope(scope)
            .limit(1 + self.random.below(20));
        let page = self.primary.log(options).await?;
        self.tally.cut += u64::from(page.next.is_some());
        Ok(())
    }

    /// Opens a watch and drops it after its first event, or a short while.
    async fn watch(&mut self, options: WatchOptions) -> anyhow::Result<()> {
        let mut options = options;
        // The first part is enough.
        options.assemble_bytes = 1;
        let mut watch = self.primary.watch(options).await?;
        if let Ok(told) = timeout(SHORT_WHILE, watch.recv()).await {
            told?;
            self.tally.events += 1;
        }
        Ok(())
    }

    async fn unlink_under_a_watch(&mut self) -> anyhow::Result<()> {
        let below = match self.random.below(2) {
            0 => "**",
            _ => "**.nothing",
        };
        let mut options = WatchOptions::new().glob(format!("{}.{below}", self.copy));
        options.assemble_bytes = 1;
        let mut watch = self.primary.watch(options).await?;
        let unlink = Transaction::new().unlink(self.copy.as_str());
        self.primary.commit(unlink).await?;
        if let Ok(told) = timeout(SHORT_WHILE, watch.recv()).await {
            told?;
            self.tally.events += 1;
        }
        self.copy_again().await
    }

    async fn copy_again(&self) -> anyhow::Result<()> {
        let copy = Transaction::new().copy("D", self.copy.as_str());
        self.primary.commit(copy).await?;
        Ok(())
    }

    async fn put(&mut self, key: String) -> anyhow::Result<()> {
        let value = self.random.bytes(64);
        self.primary.put(key, value).await?;
        Ok(())
    }

    fn pattern(&mut self) -> &'static str {
        let drawn = self.random.below(PATTERNS.len() as u64) as usize;
        PATTERNS.get(drawn).copied().unwrap_or_default()
    }

    /// A key that is there, somewhere in the tree.
    fn deep(&mut self, tree: &str) -> String {
        let mut key = tree.to_owned();
        for _ in 0..self.random.below(DOUBLINGS) {
            key.push_str(if self.random.below(2) == 0 {
                ".a"
            } else {
                ".b"
            });
        }
        key + ".x"
    }
}

fn few(number: u64) -> String {
    format!("few.k{number:03}")
}

fn longer(number: u64) -> String {
    format!("longer.k{number:03}")
}

/// Makes the tree, and what stands beside it.
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

/// Gets a key until the others are done; the milliseconds of each get.
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
