//! Measures whether a put costs more in a large directory than in a small one: puts new names into
//! one directory and compares the cost at the end with that at the beginning.

use std::path::PathBuf;

use anyhow::ensure;
use kvs_client::{At, Transaction};

use crate::load::cost_over_time::Growth;
use crate::measuring::report::Report;
use kvs_testkit::Home;
use kvs_testkit::Random;

/// Size of a value in bytes.
const VALUE_BYTES: usize = 64;

/// Parameters of the run.
#[derive(Clone, Debug)]
pub struct DirectoryGrowth {
    /// Number of puts of new names.
    pub puts: u64,
    /// Number of puts before the first window.
    pub warm_up: u64,
    /// Number of puts in each half of a window, sequential and pipelined.
    pub window: u64,
    /// Directory of the store.
    pub directory: PathBuf,
}

impl DirectoryGrowth {
    /// Performs the run.
    ///
    /// # Errors
    /// If a put fails, or the directory does not contain exactly the names put.
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

/// Returns a put of a pseudorandom name.
fn put(number: u64) -> Transaction {
    let name = Random::mix(number);
    Transaction::new().put(format!("d.{name:016x}"), vec![name as u8; VALUE_BYTES])
}
