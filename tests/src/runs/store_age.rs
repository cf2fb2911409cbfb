//! Measures whether a daemon degrades with age: compares one that has made very many commits with a
//! new one, each on its own store, alternating; then again after restarting the old one on its
//! store.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;

use crate::load::dedicated_thread::apart;
use crate::load::mixed_load::{KEYS, Load, Loaded, Loader, key, value};
use crate::measuring::paired_runs::Pairs;
use crate::measuring::progress::Progress;
use crate::measuring::report::Report;
use kvs_testkit::{Daemon, Home};

/// Puts in flight while a daemon ages.
const IN_FLIGHT: usize = 512;

/// The progress is updated after this many puts.
const SHOWN: u64 = 10_000;

/// The load during which memory and bytes written are measured as well.
const BUSY: Load = Load::Put(128);

/// The loads, with the names of their figures.
const LOADS: [(&str, Load); 5] = [
    ("put_128_us", BUSY),
    ("put_us", Load::Put(1)),
    ("get_128_us", Load::Get(128)),
    ("get_us", Load::Get(1)),
    ("watch_us", Load::Watch),
];

/// Maximum ratio of a figure of the old daemon to that of the new one.
const TARGET: f64 = 1.1;

/// Parameters of the run.
#[derive(Clone, Debug, clap::Args)]
pub struct StoreGrowth {
    /// Number of puts that age a daemon
    #[arg(long, default_value_t = Self::LONG.commits)]
    pub commits: u64,
    /// Rounds before the old daemon is restarted, and after; even, because the daemons alternate in
    /// going first
    #[arg(long, default_value_t = Self::LONG.rounds)]
    pub rounds: u64,
    /// Milliseconds per load and round
    #[arg(long, default_value_t = Self::LONG.milliseconds)]
    pub milliseconds: u64,
}

/// A daemon and the number of its puts.
struct Side {
    daemon: Daemon,
    puts: u64,
    busy: Written,
}

/// Bytes written by puts, over all rounds: a round may or may not include the creation of a journal
/// segment, which costs as much again.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    puts: u64,
    bytes: u64,
}

/// The figures of one load on a daemon, by name.
type Figures = Vec<(&'static str, f64)>;

/// Paired figures of all rounds: of the new daemon and of the aged one.
#[derive(Default)]
struct Beside(Vec<(&'static str, Pairs)>);

impl StoreGrowth {
    /// The full size.
    pub const LONG: Self = Self {
        commits: 10_000_000,
        rounds: 12,
        milliseconds: 250,
    };

    /// A short run.
    pub const SHORT: Self = Self {
        commits: 100_000,
        rounds: 2,
        milliseconds: 100,
    };

    /// Performs the run.
    ///
    /// # Errors
    /// If a request fails, a watcher receives anything but the values put, or an acknowledged put
    /// is lost.
    pub async fn run(&self, directory: &Path) -> anyhow::Result<Report> {
        let progress = Progress::new("growth");
        let home = Home::in_directory(directory)?;
        let mut old = Side::start(&home, 0)?;
        progress.begin("puts", self.commits);
        // At least enough to create all keys.
        old.put(self.commits.max(KEYS), &progress).await?;
        let grown = self.beside_new(&mut old, directory, &progress).await?;

        let Side { daemon, puts, .. } = old;
        daemon.stop_cleanly()?;
        let mut old = Side::start(&home, puts)?;
        old.check().await?;
        let restarted = self.beside_new(&mut old, directory, &progress).await?;
        old.check().await?;
        progress.end();

        let about = format!(
            "a daemon with {} puts of 64 bytes to 1,000 keys of a directory, {IN_FLIGHT} in flight, beside a new one: after a round that does not count, {} of {} ms of each load, in turns; the same with the old one started again, beside another new one; medians, and ratios of the median pair",
            self.commits, self.rounds, self.milliseconds
        );
        let mut report = Report::new("growth", about);
        grown.tell(&mut report, "old", "new");
        restarted.tell(&mut report, "restarted", "new_then");
        report.held("every put was there after the restart");
        Ok(report)
    }

    /// Performs all rounds, comparing with a new daemon on a new store.
    async fn beside_new(
        &self,
        old: &mut Side,
        directory: &Path,
        progress: &Progress,
    ) -> anyhow::Result<Beside> {
        let time = Duration::from_millis(self.milliseconds);
        let home = Home::in_directory(directory)?;
        let mut new = Side::start(&home, 0)?;
        new.put(KEYS, &Progress::none()).await?;
        progress.begin("beside a new daemon", self.rounds + 1);
        let mut beside = Beside::default();
        for round in 0..=self.rounds {
            for load in LOADS {
                let (without, with);
                if Pairs::without_first(round) {
                    without = new.measure(load, time).await?;
                    with = old.measure(load, time).await?;
                } else {
                    with = old.measure(load, time).await?;
                    without = new.measure(load, time).await?;
                }
                // After the first round, memory and files have reached their steady state.
                if round > 0 {
                    beside.add(&without, &with);
                }
            }
            if round == 0 {
                (new.busy, old.busy) = Default::default();
            }
            progress.at(round + 1);
        }
        beside.add(&new.busy.figures(), &old.busy.figures());
        Ok(beside)
    }
}

impl Beside {
    fn add(&mut self, new: &Figures, old: &Figures) {
        for ((name, new), (_, old)) in new.iter().zip(old) {
            match self.0.iter_mut().find(|(known, _)| known == name) {
                Some((_, pairs)) => pairs.push(*new, *old),
                None => self.0.push((name, Pairs::of(*new, *old))),
            }
        }
    }

    /// Adds the figures of both, and the targets that age does not degrade any of them.
    fn tell(&self, report: &mut Report, old: &str, new: &str) {
        for (name, pairs) in &self.0 {
            report.figure(format!("{new}_{name}"), pairs.without());
            report.figure(format!("{old}_{name}"), pairs.with());
        }
        for (name, pairs) in &self.0 {
            let what = format!("{old}_{name} to {new}_{name}");
            report.at_most(&what, pairs.ratio(), TARGET);
        }
    }
}

impl Written {
    fn figures(self) -> Figures {
        let bytes = self.bytes as f64 / self.puts as f64;
        vec![("written_bytes_per_put", bytes)]
    }
}

impl Side {
    fn start(home: &Home, puts: u64) -> anyhow::Result<Self> {
        let daemon = home.start()?;
        let busy = Written::default();
        Ok(Self { daemon, puts, busy })
    }

    async fn put(&mut self, count: u64, progress: &Progress) -> anyhow::Result<()> {
        let (connector, first) = (self.daemon.connector(), self.puts);
        let progress = progress.clone();
        apart("load", async move || {
            let shown = |sent: u64| {
                if sent.is_multiple_of(SHOWN) {
                    progress.at(sent);
                }
            };
            let loader = Loader::connect(connector).await?;
            loader.put_all(IN_FLIGHT, first, count, shown).await
        })
        .await?;
        self.puts += count;
        Ok(())
    }

    async fn measure(
        &mut self,
        (name, load): (&'static str, Load),
        time: Duration,
    ) -> anyhow::Result<Figures> {
        let counters = self.daemon.counters();
        let written = counters.written()?;
        let loaded = self.load(load, time).await?;
        let mut figures = vec![(name, loaded.cost_us)];
        if load == BUSY {
            self.busy.puts += loaded.requests;
            self.busy.bytes += counters.written()? - written;
            figures.push(("resident_mib", counters.memory_kib()? as f64 / 1024.0));
        }
        Ok(figures)
    }

    async fn load(&mut self, load: Load, time: Duration) -> anyhow::Result<Loaded> {
        let (connector, first) = (self.daemon.connector(), self.puts);
        let loaded = apart("load", async move || {
            let loader = Loader::connect(connector).await?;
            loader.during(load, first, time).await
        })
        .await?;
        if let Load::Put(_) = load {
            self.puts += loaded.requests;
        }
        Ok(loaded)
    }

    /// Checks that the newest put exists.
    async fn check(&self) -> anyhow::Result<()> {
        let newest = self.puts.saturating_sub(1);
        let read = self.daemon.primary().await?.get(key(newest)).await?;
        ensure!(
            read.as_deref() == Some(value(newest).as_slice()),
            "an acknowledged put is lost"
        );
        Ok(())
    }
}
