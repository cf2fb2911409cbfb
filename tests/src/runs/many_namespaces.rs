//! Measures the cost of a namespace: creates many in one daemon and puts a key into each; reports
//! memory and bytes written per namespace, and the restart time with all of them.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, ensure};
use kvs_client::{Client, NamespaceCreate};
use tokio::task::JoinSet;

use crate::measuring::report::Report;
use kvs_testkit::{Daemon, Home};

/// Number of requests in flight.
const AT_ONCE: u64 = 64;

/// Namespaces created before measuring, because the first ones cause one-time costs of the daemon.
const WARM_UP: u64 = 256;

/// Maximum memory of a namespace with one key, in bytes.
const TARGET_BYTES: f64 = 16_384.0;

/// Size of a value that is put repeatedly, so that checkpoints become due by journal bytes.
const AGAIN_BYTES: usize = 40_000;

/// Maximum bytes of a checkpoint after puts to one namespace, including the value.
const TARGET_CHECKPOINT_BYTES: f64 = 65_536.0;

/// Maximum time for which such a checkpoint delays commits, in milliseconds of thread time.
const TARGET_HELD_MS: f64 = 2.0;

/// The cost of a checkpoint, from the daemon's counters.
struct Checkpoint {
    bytes: f64,
    held_ms: f64,
}

/// Parameters of the run.
#[derive(Clone, Debug)]
pub struct ManyNamespaces {
    /// Number of namespaces.
    pub namespaces: u64,
    /// Directory of the store.
    pub directory: PathBuf,
}

/// Resource usage of the daemon, in bytes.
#[derive(Clone, Copy)]
struct Used {
    memory: f64,
    written: f64,
}

impl Used {
    fn by(daemon: &Daemon) -> anyhow::Result<Self> {
        let counters = daemon.counters();
        Ok(Self {
            memory: counters.memory_kib()? as f64 * 1024.0,
            written: counters.written()? as f64,
        })
    }
}

impl ManyNamespaces {
    /// Performs the run.
    ///
    /// # Errors
    /// If a namespace cannot be created, or is missing or without its key after a restart.
    pub async fn run(&self) -> anyhow::Result<Report> {
        let home = Home::in_directory(&self.directory)?;
        let daemon = home.start()?;
        let client = daemon.connect().await?;
        each(&client, 0..WARM_UP, make).await?;
        each(&client, 0..WARM_UP, put).await?;
        let all = WARM_UP..WARM_UP + self.namespaces;
        let before = Used::by(&daemon)?;
        let start = Instant::now();
        each(&client, all.clone(), make).await?;
        let seconds = start.elapsed().as_secs_f64();
        let made = Used::by(&daemon)?;
        each(&client, all.clone(), put).await?;
        let filled = Used::by(&daemon)?;

        let start = Instant::now();
        let listed = client.namespaces().await?.len() as u64;
        let list_s = start.elapsed().as_secs_f64();
        ensure!(listed == all.end + 1, "{listed} namespaces are listed");
        drop(client);
        daemon.kill()?;
        let start = Instant::now();
        let daemon = home.start()?;
        let client = daemon.connect().await?;
        client.status().await?;
        let restart_s = start.elapsed().as_secs_f64();
        each(&client, all, check).await?;
        let checkpoint = checkpoint_of_one(&client).await?;

        let count = self.namespaces as f64;
        let about = format!(
            "{} namespaces made, {AT_ONCE} at a time, then a key put into each; resident memory and written bytes of the daemon for one; start after kill -9",
            self.namespaces
        );
        let mut report = Report::new("many-namespaces", about);
        report.figure("namespaces", count);
        report.figure("made_per_s", count / seconds);
        report.figure("memory_bytes_each", (made.memory - before.memory) / count);
        report.figure(
            "written_bytes_each",
            (made.written - before.written) / count,
        );
        let with_key = (filled.memory - before.memory) / count;
        report.figure("memory_bytes_each_with_a_key", with_key);
        report.figure("memory_mib", filled.memory / f64::from(1 << 20));
        report.figure("list_s", list_s);
        report.figure("restart_s", restart_s);
        report.figure("checkpoint_bytes", checkpoint.bytes);
        report.figure("checkpoint_held_ms", checkpoint.held_ms);
        report.at_most("bytes of memory for one with a key", with_key, TARGET_BYTES);
        report.at_most(
            "bytes of a checkpoint after puts to one of them",
            checkpoint.bytes,
            TARGET_CHECKPOINT_BYTES,
        );
        report.at_most(
            "milliseconds of thread time for which it held commits up",
            checkpoint.held_ms,
            TARGET_HELD_MS,
        );
        report.held("all of them are there, with their keys, after kill -9");
        Ok(report)
    }
}

/// Runs an action on each namespace, many at a time.
async fn each<F>(
    client: &Client,
    numbers: std::ops::Range<u64>,
    act: fn(Client, u64) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let mut running = JoinSet::new();
    for first in 0..AT_ONCE {
        let (client, numbers) = (client.clone(), numbers.clone());
        running.spawn(async move {
            for number in numbers.skip(first as usize).step_by(AT_ONCE as usize) {
                act(client.clone(), number).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

/// Returns the cost of a checkpoint after writes to a single namespace.
async fn checkpoint_of_one(client: &Client) -> anyhow::Result<Checkpoint> {
    let counter = async |name: &str| {
        let status = client.status().await?;
        let found = status.counters.get(name).copied();
        found.with_context(|| format!("the daemon does not count {name}"))
    };
    // The first checkpoint also writes what was replayed.
    let enough = counter("checkpoints").await? + 2;
    while counter("checkpoints").await? < enough {
        each(client, 0..AT_ONCE, again).await?;
    }
    Ok(Checkpoint {
        bytes: counter("checkpoint_last_bytes").await? as f64,
        held_ms: counter("checkpoint_last_held_ns").await? as f64 / 1e6,
    })
}

async fn again(client: Client, number: u64) -> anyhow::Result<()> {
    let value = (number % 10).to_string().repeat(AGAIN_BYTES);
    client.namespace(name(0)).put("again", value).await?;
    Ok(())
}

async fn make(client: Client, number: u64) -> anyhow::Result<()> {
    let create = NamespaceCreate::named(name(number));
    client.create_namespace(create).await?;
    Ok(())
}

async fn put(client: Client, number: u64) -> anyhow::Result<()> {
    let value = number.to_string();
    client
        .namespace(name(number))
        .put("job.state", value)
        .await?;
    Ok(())
}

async fn check(client: Client, number: u64) -> anyhow::Result<()> {
    let found = client.namespace(name(number)).get("job.state").await?;
    let is = found.as_deref() == Some(number.to_string().as_bytes());
    ensure!(is, "{} holds {found:?}", name(number));
    Ok(())
}

fn name(number: u64) -> String {
    format!("job-{number:06}")
}
