//! Measures the bytes written to disk per small put: pipelined puts to the keys of one directory,
//! and the bytes that the kernel attributes to the daemon over its lifetime, from creating the
//! store to the last checkpoint of a clean stop.

use std::path::PathBuf;
use std::time::Instant;

use kvs_client::Transaction;

use crate::load::pipeline::{IN_FLIGHT, Pipeline};
use crate::measuring::disk_baseline;
use crate::measuring::report::Report;
use kvs_testkit::Home;
use kvs_testkit::Random;

/// Parameters of the run.
#[derive(Clone, Debug)]
pub struct BytesPerPut {
    /// Number of puts.
    pub puts: u64,
    /// Number of keys.
    pub keys: u64,
    /// Size of a value in bytes.
    pub value_bytes: usize,
    /// Directory of the store.
    pub directory: PathBuf,
}

impl BytesPerPut {
    /// Performs the run.
    ///
    /// # Errors
    /// If a put fails.
    pub async fn run(&self) -> anyhow::Result<Report> {
        let home = Home::in_directory(&self.directory)?;
        let daemon = home.start_without_polling()?;
        let made = daemon.counters().written()?;
        let mut pipeline = Pipeline::to(&daemon).await?;
        let mut random = Random::new(self.puts);
        let busy = daemon.counters().busy_ns()?;
        let start = Instant::now();
        for put in 0..self.puts {
            let key = format!("d.k{:04}", put % self.keys.max(1));
            let put = Transaction::new().put(key, random.bytes(self.value_bytes));
            pipeline.commit(put).await?;
        }
        pipeline.finish().await?;
        let seconds = start.elapsed().as_secs_f64();
        let busy = daemon.counters().busy_ns()? - busy;
        let running = daemon.counters().written()?;
        let versions = pipeline.namespace().known().map_or(0, |at| at.version);
        drop(pipeline);
        let written = daemon.stop_and_count()?;

        let groups = (self.puts as usize).div_ceil(IN_FLIGHT);
        let reference =
            disk_baseline::append(&self.directory, groups, IN_FLIGHT * (self.value_bytes + 8))?;
        let about = format!(
            "{} puts of {} bytes to {} keys of one directory with {IN_FLIGHT} in flight; write_bytes of the daemon from its start to its clean end; beside it a loop that appends {IN_FLIGHT} keys and values at a time and syncs",
            self.puts, self.value_bytes, self.keys
        );
        let puts = self.puts as f64;
        let mut report = Report::new("bytes-per-put", about);
        report.figure("puts", puts);
        report.figure("seconds", seconds);
        report.figure("puts_per_s", puts / seconds);
        report.figure("processor_us_per_put", busy as f64 / 1e3 / puts);
        report.figure("versions", versions as f64);
        report.figure("new_store_bytes", made as f64);
        report.figure("running_bytes_per_put", (running - made) as f64 / puts);
        report.figure("written_bytes_per_put", written as f64 / puts);
        report.figure(
            "append_and_sync_bytes_per_put",
            reference.written as f64 / puts,
        );
        report.figure("append_and_sync_seconds", reference.seconds);
        report.figure("ratio_to_append_and_sync", seconds / reference.seconds);
        report.at_most("bytes written for one put", written as f64 / puts, 1024.0);
        Ok(report)
    }
}
