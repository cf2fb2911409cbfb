//! Measures the time from the start of a daemon to its first answer on a large store: after
//! `kill -9` with a random amount of journal after the last checkpoint, and after a clean stop.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::ensure;
use kvs_client::Transaction;

use crate::load::pipeline::Pipeline;
use crate::measuring::report::Report;
use kvs_testkit::Random;
use kvs_testkit::{Daemon, Home};

/// Number of keys per directory.
const KEYS_A_DIRECTORY: u64 = 1_000;

/// Size of a value in bytes.
const VALUE_BYTES: usize = 64;

/// Maximum time to the first answer in seconds.
const TARGET_S: f64 = 1.0;

/// Parameters of the run.
#[derive(Clone, Debug)]
pub struct Restart {
    /// Number of keys in the store.
    pub keys: u64,
    /// Number of restarts after `kill -9`, and after a clean stop.
    pub rounds: u64,
    /// Maximum number of puts before each kill, which the restart has to replay unless a checkpoint
    /// came after them.
    pub puts: u64,
    /// Seed of the puts before each kill.
    pub seed: u64,
    /// Directory of the store.
    pub directory: PathBuf,
}

impl Restart {
    /// Performs the run.
    ///
    /// # Errors
    /// If a daemon does not start, or a key is missing or does not have its last value.
    pub async fn run(&self) -> anyhow::Result<Report> {
        let empty = Home::in_directory(&self.directory)?;
        let (daemon, _) = timed(&empty, "nothing").await?;
        daemon.kill()?;
        let (_daemon, empty) = timed(&empty, "nothing").await?;
        let mut busy: f64 = 0.0;

        let home = Home::in_directory(&self.directory)?;
        let mut daemon = home.start()?;
        let mut pipeline = Pipeline::to(&daemon).await?;
        for number in 0..self.keys {
            let put = Transaction::new().put(key(number), value(number));
            pipeline.commit(put).await?;
        }
        pipeline.finish().await?;
        drop(pipeline);
        let mut random = Random::new(self.seed);
        let (mut killed, mut stopped) = (Vec::new(), Vec::new());
        for round in 0..self.rounds {
            let number = random.below(self.keys);
            let mut pipeline = Pipeline::to(&daemon).await?;
            // A varying number, so that the kills are at different distances from the last
            // checkpoint.
            for _ in 0..self.puts - random.below(self.puts / 4 + 1) {
                let number = random.below(self.keys);
                let put = Transaction::new().put(key(number), value(number));
                pipeline.commit(put).await?;
            }
            let put = Transaction::new().put(key(number), round.to_string());
            pipeline.commit(put).await?;
            pipeline.finish().await?;
            drop(pipeline);
            daemon.kill()?;
            let seconds;
            (daemon, seconds) = timed(&home, &key(number)).await?;
            killed.push(seconds);
            busy = busy.max(daemon.counters().busy_ns()? as f64 / 1e9);
            let read = daemon.primary().await?.get(key(number)).await?;
            ensure!(
                read.as_deref() == Some(round.to_string().as_bytes()),
                "an acknowledged put is lost"
            );
        }
        for _ in 0..self.rounds {
            daemon.stop_cleanly()?;
            let seconds;
            (daemon, seconds) = timed(&home, &key(random.below(self.keys))).await?;
            stopped.push(seconds);
        }
        let memory = daemon.counters().peak_memory_kib()?;
        let worst = |seconds: &[f64]| seconds.iter().copied().fold(0.0, f64::max);
        let about = format!(
            "a store of {} keys in directories of {KEYS_A_DIRECTORY}; seconds from exec to the answer to the first get, {} times after up to {} more puts and kill -9, {} times after SIGTERM; files in the page cache",
            self.keys, self.rounds, self.puts, self.rounds
        );
        let mut report = Report::new("restart", about);
        report.figure("keys", self.keys as f64);
        report.figure("after_kill_max_s", worst(&killed));
        report.figure("after_kill_processor_max_s", busy);
        report.figure("after_stop_max_s", worst(&stopped));
        report.figure("empty_store_s", empty);
        report.figure("ratio_to_empty_store", worst(&killed) / empty);
        report.figure("memory_after_stop_mib", memory as f64 / 1024.0);
        report.at_most("seconds after kill -9", worst(&killed), TARGET_S);
        report.at_most("seconds after a clean stop", worst(&stopped), TARGET_S);
        Ok(report)
    }
}

/// Starts a daemon and gets a key; returns the time in seconds.
async fn timed(home: &Home, key: &str) -> anyhow::Result<(Daemon, f64)> {
    let start = Instant::now();
    let daemon = home.start()?;
    daemon.primary().await?.get(key).await?;
    Ok((daemon, start.elapsed().as_secs_f64()))
}

fn key(number: u64) -> String {
    format!(
        "r.{}.{}",
        number / KEYS_A_DIRECTORY,
        number % KEYS_A_DIRECTORY
    )
}

fn value(number: u64) -> Vec<u8> {
    Random::new(number).bytes(VALUE_BYTES)
}
