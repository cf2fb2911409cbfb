//! Whether a put costs more in a large directory than in a small one: new names are put into one
//! directory, and the cost at the end is held against the cost at the beginning.
//!
//! Cost is measured three ways, in a window at either end: the latency of commits made one at a
//! time; the time of a thousand pipelined ones; and the processor time that the daemon takes for
//! each, which noise of the machine touches least. Beside each window stands what an append and a
//! sync alone take, as a shared disk is not always equally fast.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, ensure};
use kvs_client::{At, Transaction};

use crate::daemon::{Daemon, Home};
use crate::pipeline::{IN_FLIGHT, Pipeline};
use crate::random::Random;
use crate::reference;
use crate::report::{Report, median, percentile};

/// Puts whose time is taken together when they are pipelined.
const BLOCK: u64 = 1_000;

/// Bytes of a value.
const VALUE_BYTES: usize = 64;

/// Bytes of the reference's appends: about those of a group of one put.
const REFERENCE_BYTES: usize = 256;

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

/// The cost of a put in a window, in microseconds.
struct Cost {
    alone: f64,
    alone_p99: f64,
    pipelined: f64,
    processor: f64,
    reference: f64,
}

struct Growing {
    daemon: Daemon,
    pipeline: Pipeline,
    put: u64,
}

impl DirectoryGrowth {
    /// Runs it.
    ///
    /// # Errors
    /// A put failed, or the directory does not hold what was put.
    pub async fn run(&self) -> anyhow::Result<Report> {
        ensure!(
            self.puts >= self.warm_up + 4 * self.window,
            "two windows do not fit into {} puts",
            self.puts
        );
        let home = Home::in_directory(&self.directory)?;
        let daemon = home.start()?;
        let mut growing = Growing {
            pipeline: Pipeline::to(&daemon).await?,
            daemon,
            put: 0,
        };
        let start = Instant::now();
        growing.put_to(self.warm_up).await?;
        let first = self.window(&mut growing).await?;
        growing.put_to(self.puts - 2 * self.window).await?;
        let last = self.window(&mut growing).await?;
        let seconds = start.elapsed().as_secs_f64();
        let primary = growing.pipeline.namespace();
        let info = primary.info(At::Current).await?;
        ensure!(
            info.directory.entries == self.puts + 1,
            "{} entries after {} puts",
            info.directory.entries,
            self.puts
        );
        let memory = growing.daemon.counters().peak_memory_kib()?;
        let about = format!(
            "{} puts of new names into one directory; a window of {} commits one at a time and {} pipelined ({IN_FLIGHT} in flight, blocks of {BLOCK}) after {} puts and at the end; medians",
            self.puts, self.window, self.window, self.warm_up
        );
        let mut report = Report::new("directory-growth", about);
        report.figure("puts", self.puts as f64);
        report.figure("seconds", seconds);
        report.figure("peak_memory_mib", memory as f64 / 1024.0);
        report.figure("one_at_a_time_first_us", first.alone);
        report.figure("one_at_a_time_last_us", last.alone);
        report.figure("one_at_a_time_first_p99_us", first.alone_p99);
        report.figure("one_at_a_time_last_p99_us", last.alone_p99);
        report.figure("append_and_sync_first_us", first.reference);
        report.figure("append_and_sync_last_us", last.reference);
        report.figure("pipelined_first_us", first.pipelined);
        report.figure("pipelined_last_us", last.pipelined);
        report.figure("processor_first_us", first.processor);
        report.figure("processor_last_us", last.processor);
        report.at_most(
            "latency of one commit, last to first window",
            last.alone / first.alone,
            2.0,
        );
        report.at_most(
            "time of a pipelined commit, last to first window",
            last.pipelined / first.pipelined,
            2.0,
        );
        report.at_most(
            "processor time of a pipelined commit, last to first window",
            last.processor / first.processor,
            2.0,
        );
        Ok(report)
    }

    async fn window(&self, growing: &mut Growing) -> anyhow::Result<Cost> {
        growing.pipeline.finish().await?;
        let mut alone = Vec::new();
        for _ in 0..self.window {
            let start = Instant::now();
            let put = growing.next();
            growing.pipeline.namespace().commit(put).await?;
            alone.push(start.elapsed().as_secs_f64() * 1e6);
        }
        let busy = growing.daemon.counters().busy_ns()?;
        let mut blocks = Vec::new();
        let mut start = Instant::now();
        for number in 1..=self.window {
            let put = growing.next();
            growing.pipeline.commit(put).await?;
            if number % BLOCK == 0 {
                blocks.push(start.elapsed().as_secs_f64() * 1e6 / BLOCK as f64);
                start = Instant::now();
            }
        }
        growing.pipeline.finish().await?;
        let busy = growing.daemon.counters().busy_ns()? - busy;
        Ok(Cost {
            alone: median(&mut alone),
            alone_p99: percentile(&mut alone, 99),
            pipelined: median(&mut blocks),
            processor: busy as f64 / 1e3 / self.window as f64,
            reference: reference::append(&self.directory, 1_000, REFERENCE_BYTES)?.median_us,
        })
    }
}

impl Growing {
    async fn put_to(&mut self, end: u64) -> anyhow::Result<()> {
        while self.put < end {
            let put = self.next();
            let committed = self.pipeline.commit(put).await;
            committed.with_context(|| format!("put {}", self.put))?;
        }
        Ok(())
    }

    /// The next put, of a name that tells nothing about its neighbours.
    fn next(&mut self) -> Transaction {
        let name = Random::mix(self.put);
        self.put += 1;
        Transaction::new().put(format!("d.{name:016x}"), vec![name as u8; VALUE_BYTES])
    }
}
