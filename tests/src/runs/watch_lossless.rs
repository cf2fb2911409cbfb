//! One producer writes values to one key as fast as it can; several watchers must each get every
//! one, in order. Optionally the daemon is killed meanwhile, and the watchers resume.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use kvs_client::{Transaction, WatchOptions, WatchStream};
use tokio::sync::watch;

use crate::load::pipeline::{IN_FLIGHT, Pipeline};
use crate::load::sequence_check::Sequence;
use crate::measuring::report::Report;
use kvs_testkit::Home;

/// How the run is made.
#[derive(Clone, Debug)]
pub struct WatchLossless {
    /// Values written.
    pub values: u64,
    /// Watchers, each with a connection of its own.
    pub watchers: u64,
    /// How often the daemon is killed and started again meanwhile, evenly spread.
    pub kills: u64,
    /// Where the store is made.
    pub directory: PathBuf,
}

impl WatchLossless {
    /// Runs it.
    ///
    /// # Errors
    /// The first value that a watcher did not get where it should.
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

    /// Seconds until all is written and delivered.
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
            // An error says that the writing has ended, and how shows below.
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

/// Takes that many values, which must be the numbers from 0 on.
async fn receive(mut stream: WatchStream, values: u64) -> anyhow::Result<()> {
    let started = stream.started().context("the watch does not stand")?;
    let mut sequence = Sequence::new(0, started.version);
    for _ in 0..values {
        sequence.take(&stream.recv().await?)?;
    }
    Ok(())
}
