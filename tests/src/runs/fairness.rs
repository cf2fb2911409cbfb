//! A guest floods the daemon in every way available to it. Measures the latency of the instance
//! owner's puts meanwhile, compared with that while a process of the guest spins without sending
//! anything.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use kvs_client::{Client, Namespace, NamespaceCreate, Transaction};

use crate::measuring::report::Report;
use crate::runs::flood::{Flood, OWN, SHARED};
use kvs_testkit::Counters;
use kvs_testkit::Home;
use kvs_testkit::percentile;

/// The user id of the guest, which belongs to no real user.
const GUEST: u32 = 54_321;

/// Maximum ratio of a put's 99th percentile to that beside a spinning process.
const TARGET_RATIO: f64 = 2.0;

/// Parameters of the run.
#[derive(Clone, Debug, clap::Args)]
pub struct Fairness {
    /// Minimum number of puts measured per flood, unless the time runs out
    #[arg(long, default_value_t = Self::LONG.puts)]
    pub puts: u64,
    /// Maximum time per flood in seconds
    #[arg(long, default_value_t = Self::LONG.seconds)]
    pub seconds: u64,
    /// Minimum time per flood in milliseconds, because a flood may come in waves
    #[arg(long, default_value_t = Self::LONG.least_ms)]
    pub least_ms: u64,
    /// Rounds per flood, each right after a round with the spinning process; medians are compared
    #[arg(long, default_value_t = Self::LONG.rounds)]
    pub rounds: u64,
    /// Run only these floods; default: all
    #[arg(long, value_name = "HOW")]
    pub only: Vec<Flood>,
    /// Number of versions of the namespace that the guest may read
    #[arg(long, default_value_t = Self::LONG.versions)]
    pub versions: u64,
    /// The program that floods as another user, `measure`; default: this program
    #[arg(skip)]
    pub flooder: Option<PathBuf>,
}

/// The measurements during a flood.
struct Beside {
    /// Latency of each put in microseconds.
    latencies: Vec<f64>,
    /// CPUs used by the guest's process.
    processors: f64,
    /// Peak of the memory held for a single user.
    held_mib: f64,
    /// Peak memory of the daemon.
    memory_mib: f64,
}

/// The process of the guest, killed on drop.
struct Guest(Child);

impl Drop for Guest {
    fn drop(&mut self) {
        // The guest may have exited already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Fairness {
    /// Maximum memory held for one guest in MiB: its quota, plus the minimum of each of its
    /// connections.
    pub const HELD_MIB: f64 = 34.0;

    /// The full size.
    pub const LONG: Self = Self {
        puts: 3_000,
        seconds: 10,
        least_ms: 3_000,
        rounds: 3,
        only: Vec::new(),
        versions: 20_000,
        flooder: None,
    };

    /// A short run.
    pub const SHORT: Self = Self {
        puts: 100,
        seconds: 2,
        least_ms: 0,
        rounds: 1,
        only: Vec::new(),
        versions: 1_000,
        flooder: None,
    };

    /// Performs the run. Requires root, because a guest is another user.
    ///
    /// # Errors
    /// If a put of the owner is refused, a flood ends, or a guarantee is broken.
    pub async fn run(&self, directory: &Path) -> anyhow::Result<Report> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "a guest is another user, so this has to be run by root"
        );
        let about = format!(
            "a guest floods the daemon on 32 connections in one way after the other, the instance owner puts {} values of 64 bytes one at a time; the rate of guests is the default",
            self.puts
        );
        let mut report = Report::new("fairness", about);
        // A place where another user can run it, wherever it was built.
        let place = tempfile::tempdir()?;
        std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o711))?;
        let flooder = place.path().join("flooder");
        let built = match &self.flooder {
            Some(built) => built.clone(),
            None => std::env::current_exe()?,
        };
        std::fs::copy(built, &flooder)?;
        std::fs::set_permissions(&flooder, std::fs::Permissions::from_mode(0o755))?;
        for flood in Flood::value_variants() {
            let left_out = !self.only.is_empty() && !self.only.contains(flood);
            if *flood == Flood::Spin || left_out {
                continue;
            }
            let mut rounds = Vec::new();
            for _ in 0..self.rounds.max(1) {
                // Back to back, because other load on the machine varies.
                let alone = self.beside(Flood::Spin, &flooder, directory).await?;
                rounds.push((alone, self.beside(*flood, &flooder, directory).await?));
            }
            let mut median = |of: &mut dyn FnMut(&mut (Beside, Beside)) -> f64| {
                let mut all: Vec<f64> = rounds.iter_mut().map(of).collect();
                percentile(&mut all, 50)
            };
            let alone = median(&mut |(alone, _)| percentile(&mut alone.latencies, 99));
            let alone_p50 = median(&mut |(alone, _)| percentile(&mut alone.latencies, 50));
            let p50 = median(&mut |(_, beside)| percentile(&mut beside.latencies, 50));
            let p99 = median(&mut |(_, beside)| percentile(&mut beside.latencies, 99));
            let longest = median(&mut |(_, beside)| percentile(&mut beside.latencies, 100));
            let processors = median(&mut |(_, beside)| beside.processors);
            let memory_mib = median(&mut |(_, beside)| beside.memory_mib);
            let held = rounds.iter().map(|(_, beside)| beside.held_mib);
            let held_mib = held.fold(0.0, f64::max);
            let name = flood.name().replace('-', "_");
            report.figure(format!("{name}_spin_p50_us"), alone_p50);
            report.figure(format!("{name}_spin_p99_us"), alone);
            report.figure(format!("{name}_p50_us"), p50);
            report.figure(format!("{name}_p99_us"), p99);
            report.figure(format!("{name}_longest_us"), longest);
            report.figure(format!("{name}_processors"), processors);
            report.figure(format!("{name}_held_mib"), held_mib);
            report.figure(format!("{name}_memory_mib"), memory_mib);
            let what = format!("99th percentile beside {name}, of that beside a spinning process");
            report.at_most(&what, p99 / alone.max(1.0), TARGET_RATIO);
            let what = format!("MiB held at once, {name}");
            report.at_most(&what, held_mib, Self::HELD_MIB);
        }
        Ok(report)
    }

    /// Measures the owner's puts during a flood.
    async fn beside(
        &self,
        flood: Flood,
        flooder: &Path,
        directory: &Path,
    ) -> anyhow::Result<Beside> {
        let home = Home::in_directory(directory)?;
        let daemon = home.start_with(&["--allow-guests"])?;
        let socket = home.socket();
        let run = socket.parent().context("a socket in a directory")?;
        std::fs::set_permissions(run, std::fs::Permissions::from_mode(0o711))?;
        let client = daemon.connect().await?;
        let shared = self.prepare(&client).await?;
        let mut guest = self.start(flood, flooder, &socket)?;
        let counters = Counters::of(guest.0.id());
        let busy_before = counters.busy_ns()?;
        let begin = Instant::now();
        let mut latencies = Vec::new();
        for number in 0.. {
            let put = Transaction::new().put(format!("k{}", number % 8), vec![b'v'; 64]);
            let start = Instant::now();
            shared.commit(put).await?;
            latencies.push(start.elapsed().as_secs_f64() * 1e6);
            let elapsed = begin.elapsed();
            let enough = number + 1 >= self.puts && elapsed >= Duration::from_millis(self.least_ms);
            if enough || elapsed > Duration::from_secs(self.seconds) {
                break;
            }
        }
        let busy = counters.busy_ns()?.saturating_sub(busy_before);
        let processors = busy as f64 / 1e9 / begin.elapsed().as_secs_f64();
        let ended = guest.0.try_wait()?;
        ensure!(
            ended.is_none(),
            "the flood {} has ended: {ended:?}",
            flood.name()
        );
        let beside = Beside {
            latencies,
            processors,
            held_mib: held(&client).await?,
            memory_mib: daemon.counters().peak_memory_kib()? as f64 / 1024.0,
        };
        drop(guest);
        daemon.stop_cleanly()?;
        Ok(beside)
    }

    async fn prepare(&self, client: &Client) -> anyhow::Result<Namespace> {
        for (name, owner) in [(OWN, Some(GUEST)), (SHARED, None)] {
            let mut create = NamespaceCreate::named(name);
            create.owner = owner;
            client.create_namespace(create).await?;
        }
        client.share_namespace(SHARED, GUEST, true).await?;
        let shared = client.namespace(SHARED);
        // History for the guest to read, written in rounds so that each put is a version.
        let mut number = 0;
        while number < self.versions {
            let mut answers = Vec::new();
            for _ in 0..256 {
                number += 1;
                let put = Transaction::new().put(format!("k{}", number % 8), vec![b'v'; 64]);
                answers.push(tokio::spawn({
                    let shared = shared.clone();
                    async move { shared.commit(put).await }
                }));
            }
            for answer in answers {
                answer.await??;
            }
        }
        Ok(shared)
    }

    fn start(&self, flood: Flood, flooder: &Path, socket: &Path) -> anyhow::Result<Guest> {
        let mut command = Command::new(flooder);
        command
            .args(["flood", &flood.name()])
            .arg(socket)
            .arg(self.versions.to_string())
            .uid(GUEST)
            .gid(GUEST)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut guest = Guest(command.spawn().context("cannot start the guest")?);
        let stdout = guest.0.stdout.take().context("no standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        ensure!(
            line.trim() == "flooding",
            "the guest did not begin: {line:?}"
        );
        Ok(guest)
    }
}

/// Returns the peak of the memory held for one user since the daemon started, in MiB; 0 if it is
/// not reported.
async fn held(client: &Client) -> anyhow::Result<f64> {
    let status = client.status().await?;
    let bytes = status.counters.get("principal_held_most_bytes").copied();
    Ok(bytes.unwrap_or(0) as f64 / 1024.0 / 1024.0)
}
