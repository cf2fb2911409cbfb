//! Whether a daemon gets worse with age: one that has made very many commits beside a new one, each
//! on a store of its own, in turns; then the same with the old one started again on its store.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;

use crate::load::dedicated_thread::apart;
use crate::load::mixed_load::{KEYS, Load, Loaded, Loader, key, value};
use crate::measuring::paired_runs::Pairs;
use crate::measuring::progress::Progress;
use crate::measuring::report::Report;
use kvs_testkit::{Daemon, Home};

/// Unanswered puts while a daemon grows old.
const IN_FLIGHT: usize = 512;

/// The progress is shown after so many of them.
const SHOWN: u64 = 10_000;

/// The load at which memory and bytes written are looked at as well.
const BUSY: Load = Load::Put(128);

/// What is measured, with the names of the figures.
const LOADS: [(&str, Load); 5] = [
    ("put_128_us", BUSY),
    ("put_us", Load::Put(1)),
    ("get_128_us", Load::Get(128)),
    ("get_us", Load::Get(1)),
    ("watch_us", Load::Watch),
];

/// How much a figure of the old daemon may be, to that of the new one.
const TARGET: f64 = 1.1;

/// How the run is made.
#[derive(Clone, Debug, clap::Args)]
pub struct StoreGrowth {
    /// Puts by which a daemon grows old
    #[arg(long, default_value_t = Self::LONG.commits)]
    pub commits: u64,
    /// Rounds before the old daemon is started again, and after; even, as the two take turns in
    /// being first
    #[arg(long, default_value_t = Self::LONG.rounds)]
    pub rounds: u64,
    /// Milliseconds of each load in a round
    #[arg(long, default_value_t = Self::LONG.milliseconds)]
    pub milliseconds: u64,
}

/// A daemon and how many puts it has had.
struct Side {
    daemon: Daemon,
    puts: u64,
    busy: Written,
}

/// Bytes that puts wrote, of all rounds: a round may contain the making of a segment of the journal
/// or not, which is as much again.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    puts: u64,
    bytes: u64,
}

/// What one load of a daemon gave, by name.
type Figures = Vec<(&'static str, f64)>;

/// The same of all rounds, in pairs: the new daemon's, and with age.
#[derive(Default)]
struct Beside(Vec<(&'static str, Pairs)>);

impl StoreGrowth {
    /// As large as the promise.
    pub const LONG: Self = Self {
        commits: 10_000_000,
        rounds: 12,
        milliseconds: 250,
    };

    /// Small, for a first look.
    pub const SHORT: Self = Self {
        commits: 100_000,
        rounds: 2,
        milliseconds: 100,
    };

    /// Runs it.
    ///
    /// # Errors
    /// A request failed, a watcher was told something else than what was put, or an acknowledged
    /// put is lost.
    pub async fn run(&self, directory: &Path) -> anyhow::Result<Report> {
        let progress = Progress::new("growth");
        let home = Home::in_directory(directory)?;
        let mut old = Side::start(&home, 0)?;
        progress.begin("puts", self.commits);
        // All keys are there at least.
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

    /// All rounds with a new daemon on a new store.
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
                // After the first, memory and files are there as they will be.
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

    /// Adds the figures of both, and the demand that age has made none of them worse.
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

    /// The newest put must be there.
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
