//! A daemon under limits: 1,024 descriptors, few threads, one hostile guest, one honest owner, and
//! occasional `kill -9`. Everything acknowledged to the owner must exist after each restart and at
//! the end. Each operation of the owner must be answered, unless it was in flight when the daemon
//! was killed.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use kvs_client::{ClientError, Namespace, NamespaceCreate, Options, UnixConnector};

use crate::load::confined::Confined;
use crate::load::hostile_guest::{HostileGuest, Running, UID};
use crate::measuring::report::Report;
use kvs_testkit::Counters;
use kvs_testkit::Random;
use kvs_testkit::has_root;
use kvs_testkit::percentile;
use kvs_testkit::{Daemon, Home, PATIENCE};

/// Maximum number of the daemon's descriptors.
const DESCRIPTORS: u64 = 1_024;

/// Number of the owner's keys.
const KEYS: u64 = 500;

/// Operations of the owner per connection.
const ON_ONE_CONNECTION: u64 = 200;

/// The namespace of the guest.
const GUESTS: &str = "guests";

/// Parameters of the run.
#[derive(Clone, Debug, clap::Args)]
pub struct Boxed {
    /// Duration in seconds
    #[arg(long, default_value_t = Self::LONG.seconds)]
    pub seconds: u64,
    /// Maximum time between two kills, in seconds; the actual time is random
    #[arg(long, default_value_t = Self::LONG.kill_within)]
    pub kill_within: u64,
    /// Maximum number of the daemon's threads
    #[arg(long, default_value_t = Self::LONG.threads)]
    pub threads: u64,
}

/// The honest owner: its acknowledged writes and its latencies.
#[derive(Default)]
struct Owner {
    acknowledged: BTreeMap<String, String>,
    /// A put that was in flight when the daemon was killed.
    doubt: Option<(String, String)>,
    version: u64,
    operations: u64,
    cut_off: u64,
    put_ms: Vec<f64>,
    get_ms: Vec<f64>,
}

/// One lifetime of the daemon, as seen by the owner.
struct Life {
    connector: UnixConnector,
    /// The daemon has been or is about to be killed.
    killed: Arc<AtomicBool>,
    /// The owner must stop.
    over: Arc<AtomicBool>,
    random: Random,
}

/// Why the owner stopped early.
enum Trouble {
    /// A call failed.
    Failed(ClientError),
    /// A guarantee was broken.
    Broken(anyhow::Error),
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}

impl Boxed {
    /// The full size.
    pub const LONG: Self = Self {
        seconds: 600,
        kill_within: 20,
        threads: 64,
    };

    /// A short run.
    pub const SHORT: Self = Self {
        seconds: 12,
        kill_within: 4,
        threads: 64,
    };

    /// Performs the run.
    ///
    /// # Errors
    /// If anything was lost or not answered; the error names the seed.
    pub async fn run(&self, directory: &Path, seed: u64) -> anyhow::Result<Report> {
        let run = self.within(directory, seed).await;
        run.with_context(|| format!("seed {seed}"))
    }

    async fn within(&self, directory: &Path, seed: u64) -> anyhow::Result<Report> {
        // Declared first, so that it is dropped last, after the daemon is gone.
        let confined = Confined::new(DESCRIPTORS, self.threads);
        let home = Home::in_directory(directory)?;
        let root = has_root();
        let mut random = Random::new(seed);
        let mut daemon = confined.start(&home, &["--allow-guests"])?;
        let guest = if root {
            Some(let_in(&home, &daemon, random.number()).await?)
        } else {
            None
        };
        let mut owner = Owner::default();
        let mut restarts = Vec::new();
        let (mut memory_kib, mut descriptors) = (0, 0);
        let end = Instant::now() + Duration::from_secs(self.seconds);
        loop {
            let pause = Duration::from_millis(random.below(self.kill_within * 1_000));
            let last = Instant::now() + pause >= end;
            let moment = end.min(Instant::now() + pause);
            let life = Life {
                connector: daemon.connector(),
                killed: Arc::default(),
                over: Arc::default(),
                random: Random::new(random.number()),
            };
            let (killed, over) = (life.killed.clone(), life.over.clone());
            let mut serving = tokio::spawn(owner.live(life));
            let early = tokio::time::timeout_at(moment.into(), &mut serving).await;
            if let Ok(stopped) = early {
                let (_, trouble) = stopped?;
                let trouble = trouble.err().unwrap_or_else(|| anyhow!("the owner ended"));
                let ended = daemon.stop()?;
                bail!(
                    "{trouble:#}; the daemon, {}: {}",
                    ended.status,
                    ended.message
                );
            }
            memory_kib = memory_kib.max(Counters::of(daemon.id()).peak_memory_kib()?);
            descriptors = descriptors.max(open_descriptors(daemon.id())?);
            if last {
                over.store(true, Ordering::SeqCst);
                let (back, result) = serving.await?;
                owner = back;
                result?;
                break;
            }
            killed.store(true, Ordering::SeqCst);
            daemon.kill()?;
            let (back, result) = serving.await?;
            owner = back;
            result?;
            let start = Instant::now();
            daemon = confined.start(&home, &["--allow-guests"])?;
            restarts.push(start.elapsed().as_secs_f64() * 1e3);
        }
        let done = guest.map(Running::stop).transpose()?;
        let checked = owner.check(&daemon.primary().await?).await;
        checked.map_err(Trouble::plain)?;
        daemon.stop_cleanly()?;

        let about = self.about(&confined, root, seed);
        let mut report = Report::new("box", about);
        report.figure("kills", restarts.len() as f64);
        report.figure("owner_operations", owner.operations as f64);
        report.figure("owner_operations_cut_off", owner.cut_off as f64);
        for (name, times) in [("put", &mut owner.put_ms), ("get", &mut owner.get_ms)] {
            report.figure(format!("owner_{name}_median_ms"), percentile(times, 50));
            report.figure(format!("owner_{name}_p99_ms"), percentile(times, 99));
            report.figure(format!("owner_{name}_max_ms"), percentile(times, 100));
        }
        report.figure("restart_max_ms", percentile(&mut restarts, 100));
        report.figure("daemon_memory_most_mib", memory_kib as f64 / 1024.0);
        report.figure("daemon_descriptors_when_looked_at_most", descriptors as f64);
        for (name, count) in [
            ("daemon_threads_most", confined.most_threads()),
            ("daemon_threads_refused", confined.refused_threads()),
        ] {
            if let Some(count) = count {
                report.figure(name, count);
            }
        }
        for (name, count) in done.into_iter().flatten() {
            report.figure(name, count);
        }
        report.held(
            "all that was acknowledged to the owner is there, after each restart and at the end",
        );
        report.held(
            "each operation of the owner was answered, or under way when the daemon was killed",
        );
        report.held("every restart went through, and no daemon ended by itself");
        Ok(report)
    }

    fn about(&self, confined: &Confined, root: bool, seed: u64) -> String {
        let guest = if root {
            "a hostile guest"
        } else {
            "NO hostile guest, which needs root"
        };
        let threads = match confined.missing() {
            None => format!("{} threads", self.threads),
            Some(why) => format!("threads NOT limited ({why})"),
        };
        format!(
            "{} s, {DESCRIPTORS} descriptors, {threads}, {guest}, an honest owner, kill -9 within each {} s; seed {seed}",
            self.seconds, self.kill_within
        )
    }
}

/// Creates the guest's namespace, makes the socket accessible and starts the guest.
async fn let_in(home: &Home, daemon: &Daemon, seed: u64) -> anyhow::Result<Running> {
    let socket = home.socket();
    let run = socket.parent().context("a socket without a directory")?;
    std::fs::set_permissions(run, PermissionsExt::from_mode(0o755))?;
    let mut namespace = NamespaceCreate::named(GUESTS);
    namespace.owner = Some(UID);
    daemon.connect().await?.create_namespace(namespace).await?;
    Running::spawn(&HostileGuest {
        socket,
        namespace: GUESTS.to_owned(),
        seed,
    })
}

fn open_descriptors(pid: u32) -> anyhow::Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

impl Trouble {
    fn plain(self) -> anyhow::Error {
        match self {
            Self::Failed(error) => error.into(),
            Self::Broken(error) => error,
        }
    }
}

impl Owner {
    /// Puts and gets until stopped, or until the daemon is killed. Fails only with errors that a
    /// kill does not explain.
    async fn live(mut self, mut life: Life) -> (Self, anyhow::Result<()>) {
        let result = match self.work(&mut life).await {
            Err(Trouble::Failed(_)) if life.killed.load(Ordering::SeqCst) => {
                self.cut_off += 1;
                Ok(())
            }
            other => other.map_err(Trouble::plain),
        };
        (self, result)
    }

    async fn work(&mut self, life: &mut Life) -> Result<(), Trouble> {
        let mut primary = self.connect(life).await?;
        self.check(&primary).await?;
        let mut operations = 0;
        while !life.over.load(Ordering::SeqCst) {
            let key = format!("owner.{}", life.random.below(KEYS));
            if life.random.below(2) == 0 {
                self.put(&primary, key, &mut life.random).await?;
            } else {
                self.get(&primary, &key).await?;
            }
            operations += 1;
            if operations % ON_ONE_CONNECTION == 0 {
                primary = self.connect(life).await?;
            }
        }
        Ok(())
    }

    /// Opens a connection without reconnecting, so that an interruption by a kill is noticed.
    async fn connect(&mut self, life: &Life) -> Result<Namespace, Trouble> {
        let options = Options::new().reconnect_time(Duration::ZERO);
        let connecting = kvs_client::Client::connect_with(life.connector.clone(), options);
        Ok(self.answered(connecting).await?.namespace("primary"))
    }

    async fn put(
        &mut self,
        primary: &Namespace,
        key: String,
        random: &mut Random,
    ) -> Result<(), Trouble> {
        let repeats = if random.below(20) == 0 { 2_000 } else { 2 };
        let value = format!("{:016x}", random.number()).repeat(repeats);
        self.doubt = Some((key.clone(), value.clone()));
        let start = Instant::now();
        let put = self.answered(primary.put(key.clone(), value.clone()));
        let version = put.await?.position.version;
        self.put_ms.push(start.elapsed().as_secs_f64() * 1e3);
        if version <= self.version {
            let before = self.version;
            return Err(anyhow!("version {version} was told after version {before}").into());
        }
        self.version = version;
        self.acknowledged.insert(key, value);
        self.doubt = None;
        Ok(())
    }

    async fn get(&mut self, primary: &Namespace, key: &str) -> Result<(), Trouble> {
        let start = Instant::now();
        let found = self.answered(primary.get(key)).await?;
        self.get_ms.push(start.elapsed().as_secs_f64() * 1e3);
        let expected = self.acknowledged.get(key);
        if found.as_deref() != expected.map(String::as_bytes) {
            return Err(anyhow!("{key} is {found:?}, acknowledged was {expected:?}").into());
        }
        Ok(())
    }

    /// Checks that all acknowledged values exist. The put in flight may have taken effect.
    async fn check(&mut self, primary: &Namespace) -> Result<(), Trouble> {
        if let Some((key, value)) = self.doubt.clone() {
            let found = self.answered(primary.get(key.clone())).await?;
            if found.as_deref() == Some(value.as_bytes()) {
                self.acknowledged.insert(key, value);
            }
            self.doubt = None;
        }
        let keys: Vec<String> = self.acknowledged.keys().cloned().collect();
        for key in keys {
            self.get(primary, &key).await?;
        }
        Ok(())
    }

    /// Waits for the answer to an operation; fails if it does not arrive.
    async fn answered<T>(
        &mut self,
        operation: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, Trouble> {
        self.operations += 1;
        match tokio::time::timeout(PATIENCE, operation).await {
            Ok(answer) => answer.map_err(Trouble::Failed),
            Err(_) => Err(anyhow!("an operation of the owner is not answered").into()),
        }
    }
}
