//! Whether a put costs more in a large directory than in a small one: new names are put into one
//! directory, and the cost at the end is held against the cost at the beginning.

use std::path::PathBuf;

use anyhow::ensure;
use kvs_client::{At, Transaction};

use crate::load::cost_over_time::Growth;
use crate::measuring::report::Report;
use kvs_testkit::Home;
use kvs_testkit::Random;

/// Bytes of a value.
const VALUE_BYTES: usize = 64;

/// How the run is made.
#[derive(Clone, Debug)]
pub struct DirectoryGrowth {
    /// New names put.
    pub puts: u64,
    /// Puts before the first window.
    pub warm_up: u64,
    /// Puts in each half of a window: so many one at a time, and so many pipelined.
    pub window: u64,
    /// Where the store is made.
    pub directory: PathBuf,
}

impl DirectoryGrowth {
    /// Runs it.
    ///
    /// # Errors
    /// A put failed, or the directory does not hold what was put.
    pub async fn run(&self) -> anyhow::Result<Report> {
        let growth = Growth {
            commits: self.puts,
            warm_up: self.warm_up,
            window: self.window,
            directory: &self.directory,
            commit: put,
        };
        let home = Home::in_directory(&self.directory)?;
        let grown = growth.run(&home).await?;
        let info = grown.namespace.info(At::Current).await?;
        ensure!(
            info.directory.entries == self.puts + 1,
            "{} entries after {} puts",
            info.directory.entries,
            self.puts
        );
        let about = format!(
            "{} puts of new names into one directory; {}",
            self.puts,
            growth.about()
        );
        let mut report = Report::new("directory-growth", about);
        report.figure("puts", self.puts as f64);
        grown.tell(&mut report)?;
        Ok(report)
    }
}

/// A put of a name that tells nothing about its neighbours.
fn put(number: u64) -> Transaction {
    let name = Random::mix(number);
    Transaction::new().put(format!("d.{name:016x}"), vec![name as u8; VALUE_BYTES])
}
