//! Measures whether an append to a long eventlog costs more than one to a short log: appends
//! entries to one key and compares the cost at the end with that at the beginning.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use anyhow::ensure;
use kvs_client::Transaction;

use crate::load::cost_over_time::Growth;
use crate::measuring::report::Report;
use crate::measuring::rss_sampler::Streamed;
use kvs_testkit::Home;

/// Parameters of the run.
#[derive(Clone, Debug)]
pub struct AppendGrowth {
    /// Number of entries appended.
    pub entries: u64,
    /// Number of entries before the first window.
    pub warm_up: u64,
    /// Number of entries in each half of a window, sequential and pipelined.
    pub window: u64,
    /// Directory of the store.
    pub directory: PathBuf,
}

impl AppendGrowth {
    /// Performs the run.
    ///
    /// # Errors
    /// If an append fails, or the log does not contain exactly the appended entries.
    pub async fn run(&self) -> anyhow::Result<Report> {
        let growth = Growth {
            commits: self.entries,
            warm_up: self.warm_up,
            window: self.window,
            directory: &self.directory,
            commit: append,
        };
        let home = Home::in_directory(&self.directory)?;
        let grown = growth.run(&home).await?;

        let mut get = home.client(&["eventlog", "get", "-u", "log"])?;
        let start = Instant::now();
        let get = Streamed::spawn(get.stdin(Stdio::null()).stdout(Stdio::piped()))?;
        let mut next = 0;
        let peak_kib = get.lines(|line| {
            let due = entry(next);
            ensure!(line == due.trim_end(), "{line} instead of {due}");
            next += 1;
            Ok(())
        })?;
        let seconds = start.elapsed().as_secs_f64();
        ensure!(next == self.entries, "{next} entries are there");

        let about = format!(
            "{} entries appended to one eventlog; {}",
            self.entries,
            growth.about()
        );
        let mut report = Report::new("append-growth", about);
        report.figure("entries", self.entries as f64);
        grown.tell(&mut report)?;
        report.figure("eventlog_get_s", seconds);
        report.figure("eventlog_get_peak_memory_mib", peak_kib as f64 / 1024.0);
        report.held("eventlog get prints every entry, in order");
        Ok(report)
    }
}

/// Returns an event as in Flux RFC 18, formatted as by `kvs eventlog append`.
fn entry(number: u64) -> String {
    let second = 1_700_000_000 + number;
    format!("{{\"timestamp\":{second}.5,\"name\":\"step\",\"context\":{{\"n\":{number}}}}}\n")
}

fn append(number: u64) -> Transaction {
    Transaction::new().append("log", entry(number).into_bytes())
}
