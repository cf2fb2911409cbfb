//! Measures the time from the call of a commit to the watcher's callback, compared with an
//! unwatched put and one round trip over a socket, measured alternately.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use kvs_client::WatchOptions;
use tokio::sync::mpsc;

use crate::load::rate_limited_writer::put;
use crate::load::round_trip::RoundTrip;
use crate::load::sequence_check::numbered;
use crate::measuring::report::Report;
use kvs_testkit::Home;
use kvs_testkit::{median, percentile};

/// Rounds before measuring.
const WARM_UP: u64 = 100;

/// Parameters of the run.
#[derive(Clone, Debug, clap::Args)]
pub struct CommitToCallback {
    /// Number of watched commits, and of each measurement compared with them
    #[arg(long, default_value_t = Self::LONG.rounds)]
    pub rounds: u64,
}

impl CommitToCallback {
    /// The full size.
    pub const LONG: Self = Self { rounds: 5_000 };

    /// A short run.
    pub const SHORT: Self = Self { rounds: 500 };

    /// Performs the run.
    ///
    /// # Errors
    /// If the callback does not receive the committed value.
    pub async fn run(&self, directory: &Path) -> anyhow::Result<Report> {
        let home = Home::in_directory(directory)?;
        let daemon = home.start()?;
        let (writer, watcher) = (daemon.primary().await?, daemon.primary().await?);
        let (called, mut calls) = mpsc::unbounded_channel();
        let options = WatchOptions::new().key("watched");
        let watch = watcher.watch_with(options, move |event, _reader| {
            let sent = called.send((Instant::now(), event));
            async move {
                Ok(match sent {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                })
            }
        });
        let watch = watch.await?;
        let mut echo = RoundTrip::new()?;
        let (mut told, mut answered) = (Vec::new(), Vec::new());
        let (mut alone, mut trips) = (Vec::new(), Vec::new());
        for round in 0..WARM_UP + self.rounds {
            let start = Instant::now();
            let answer = put(&writer, "watched", round).await?;
            let (at, event) = calls.recv().await.context("the watch has ended")?;
            let (_, number) = numbered(&event)?;
            anyhow::ensure!(number == round, "told {number} where {round} should be");
            let lone = put(&writer, "alone", round).await?;
            let trip = echo.once().await?;
            if round >= WARM_UP {
                told.push((at - start).as_secs_f64() * 1e6);
                answered.push(answer);
                alone.push(lone);
                trips.push(trip);
            }
        }
        watch.stop().await?;
        let about = format!(
            "{} commits one at a time, each followed by a put of a key that nobody watches and a message to an echo and back; writer and watcher on connections of their own; default durability",
            self.rounds
        );
        let mut report = Report::new("commit-to-callback", about);
        let (callback, lone) = (median(&mut told), median(&mut alone));
        let trip = median(&mut trips);
        report.figure("callback_us", callback);
        report.figure("callback_p99_us", percentile(&mut told, 99));
        report.figure("answer_us", median(&mut answered));
        report.figure("lone_put_us", lone);
        report.figure("lone_put_p99_us", percentile(&mut alone, 99));
        report.figure("round_trip_us", trip);
        report.at_most(
            "median microseconds to the callback (at most those of a lone put and a round trip)",
            callback,
            lone + trip,
        );
        Ok(report)
    }
}
