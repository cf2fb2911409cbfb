//! One producer writes values to one key at full speed; several watchers must each receive every
//! value in order. Optionally the daemon is killed meanwhile, and the watchers resume.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use kvs_client::{Transaction, WatchOptions, WatchStream};
use tokio::sync::watch;

use crate::load::pipeline::{IN_FLIGHT, Pipeline};
use crate::load::sequence_check::Sequence;
use crate::measuring::report::Report;
use kvs_testkit::Home;

/// Parameters of the run.
#[derive(Clone, Debug)]
pub struct WatchLossless {
    /// Number of values written.
    pub values: u64,
    /// Number of watchers, each on its own connection.
    pub watchers: u64,
    /// Number of times the daemon is killed and restarted meanwhile, evenly spread.
    pub kills: u64,
    /// Directory of the store.
    pub directory: PathBuf,
}

impl WatchLossless {
    /// Performs the run.
    ///
    /// # Errors
    /// If a watcher misses a value; names the first one.
    pub async fn run(&self) -> anyhow::Result<Report> {
        let alone = self.once(0, 0).await?;
        let together = self.once(self.watchers, self.kills).await?;
        let about = format!(
            "one producer, {} values to one key with {IN_FLIGHT} in flight, {} watchers, {} kills; beside it the same without watchers",
            self.values, self.watchers, self.kills
        );
        let mut report = Report::new("watch-lossless", about);
        let delivered = (self.values * self.watchers) as f64;
        report.figure("values", self.values as f64);
        report.figure("watchers", self.watchers as f64);
        report.figure("delivered", delivered);
        report.figure("seconds", together);
        report.figure("values_per_s", self.values as f64 / together);
        report.figure("deliveries_per_s", delivered / together);
        report.figure("unwatched_seconds", alone);
        report.figure("ratio_to_unwatched", together / alone);
        report.held("every watcher got every value once, in order, each in a version of its own");
        Ok(report)
    }

    /// Returns the seconds until all values are written and delivered.
    async fn once(&self, watchers: u64, kills: u64) -> anyhow::Result<f64> {
        let home = Home::in_directory(&self.directory)?;
        let mut daemon = home.start()?;
        let mut watching = Vec::new();
        for watcher in 0..watchers {
            let primary = daemon.primary().await?;
            let stream = primary.watch(WatchOptions::new().key("state")).await?;
            let values = self.values;
            watching.push(tokio::spawn(async move {
                let received = receive(stream, values).await;
                received.with_context(|| format!("watcher {watcher}"))
            }));
        }
        let start = Instant::now();
        let mut pipeline = Pipeline::to(&daemon).await?;
        let values = self.values;
        let (written, mut progress) = watch::channel(0);
        let writing = tokio::spawn(async move {
            for number in 0..values {
                let put = Transaction::new().put("state", number.to_string());
                pipeline.commit(put).await?;
                written.send_replace(number);
            }
            pipeline.finish().await
        });
        for kill in 1..=kills {
            let moment = values * kill / (kills + 1);
            // An error means that the writing has ended; the result is checked below.
            let _ = progress.wait_for(|number| *number >= moment).await;
            daemon.kill()?;
            daemon = home.start()?;
        }
        writing.await??;
        for watcher in watching {
            watcher.await??;
        }
        let seconds = start.elapsed().as_secs_f64();
        daemon.stop_cleanly()?;
        Ok(seconds)
    }
}

/// Receives `values` values and checks that they are the numbers from 0 on.
async fn receive(mut stream: WatchStream, values: u64) -> anyhow::Result<()> {
    let started = stream.started().context("the watch does not stand")?;
    let mut sequence = Sequence::new(0, started.version);
    for _ in 0..values {
        sequence.take(&stream.recv().await?)?;
    }
    Ok(())
}
