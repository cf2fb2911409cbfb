//! Adds to a counter through one client while the daemon is killed and restarted. The client
//! repeats unanswered requests; each add must take effect exactly once: the returned sums are 1, 2,
//! 3 and so on, and a watcher sees each of them.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use kvs_client::{ChangeValue, Event, OperationResult, Transaction, WatchOptions};
use tokio::sync::watch;

use crate::load::pipeline::{IN_FLIGHT, Pipeline};
use crate::measuring::report::Report;
use kvs_testkit::Home;

/// Parameters of the run.
#[derive(Clone, Debug)]
pub struct ExactlyOnce {
    /// Number of adds of 1.
    pub adds: u64,
    /// Number of kills, evenly spread.
    pub kills: u64,
    /// Directory of the store.
    pub directory: PathBuf,
}

impl ExactlyOnce {
    /// Performs the run.
    ///
    /// # Errors
    /// If a returned or watched sum is not the previous one plus 1.
    pub async fn run(&self) -> anyhow::Result<Report> {
        let home = Home::in_directory(&self.directory)?;
        let mut daemon = home.start()?;
        let adds = self.adds;
        let primary = daemon.primary().await?;
        let mut stream = primary.watch(WatchOptions::new().key("counter")).await?;
        let watching = tokio::spawn(async move {
            for expected in 1..=adds {
                let Event::Changes(event) = stream.recv().await? else {
                    anyhow::bail!("not a change where {expected} should be");
                };
                let change = event.changes.first().context("an empty event")?;
                let ChangeValue::Bytes(value) = &change.value else {
                    anyhow::bail!("no value where {expected} should be");
                };
                ensure!(
                    value.as_ref() == expected.to_string().as_bytes(),
                    "watched {value:?} where {expected} should be"
                );
            }
            Ok(())
        });
        let mut pipeline = Pipeline::to(&daemon).await?;
        let (told, mut progress) = watch::channel(0);
        let adding = tokio::spawn(async move {
            let mut sums = 0;
            for _ in 0..adds {
                let add = Transaction::new().add("counter", 1);
                if let Some(answer) = pipeline.commit(add).await? {
                    sums += 1;
                    check(&answer.results, sums)?;
                    told.send_replace(sums);
                }
            }
            while let Some(answer) = pipeline.next().await {
                sums += 1;
                check(&answer?.results, sums)?;
            }
            anyhow::Ok(sums)
        });
        for kill in 1..=self.kills {
            let moment = (adds * kill / (self.kills + 1)) as i64;
            // An error means that the adds have ended; the result is checked below.
            let _ = progress.wait_for(|sums| *sums >= moment).await;
            daemon.kill()?;
            daemon = home.start()?;
        }
        let sums = adding.await??;
        ensure!(sums == adds as i64, "{sums} sums for {adds} adds");
        watching.await??;
        let value = daemon.primary().await?.get("counter").await?;
        ensure!(
            value.as_deref() == Some(adds.to_string().as_bytes()),
            "the counter is {value:?} after {adds} adds"
        );
        let about = format!(
            "{adds} adds with {IN_FLIGHT} in flight through {} daemons, all but the last killed with kill -9",
            self.kills + 1
        );
        let mut report = Report::new("exactly-once", about);
        report.figure("adds", adds as f64);
        report.figure("kills", self.kills as f64);
        report.held("every add took effect once, and was told and watched once, in order");
        Ok(report)
    }
}

fn check(results: &[OperationResult], expected: i64) -> anyhow::Result<()> {
    ensure!(
        results == [OperationResult::Added(expected)],
        "told {results:?} where {expected} should be"
    );
    Ok(())
}
