//! Measures whether commits become more expensive over time: a run of commits of one kind, with a
//! window at either end in which their cost is measured.
//!
//! The cost is measured in three ways: the latency of commits made one at a time, the time of a
//! thousand pipelined commits, and the daemon's CPU time per commit. The last is the least affected
//! by noise of the machine, so the daemon does not busy-poll. Each window also measures a plain
//! append with sync, because the speed of a shared disk varies.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use kvs_client::{Namespace, Transaction};

use crate::load::pipeline::{IN_FLIGHT, Pipeline};
use crate::measuring::disk_baseline;
use crate::measuring::report::Report;
use kvs_testkit::{Daemon, Home};
use kvs_testkit::{median, percentile};

/// Number of pipelined commits that are timed together.
const BLOCK: u64 = 1_000;

/// Size of the reference appends in bytes: about that of a group with one put.
const REFERENCE_BYTES: usize = 256;

/// Parameters of such a run.
#[derive(Clone, Debug)]
pub(crate) struct Growth<'r> {
    /// Total number of commits.
    pub(crate) commits: u64,
    /// Number of commits before the first window.
    pub(crate) warm_up: u64,
    /// Number of commits in each half of a window, sequential and pipelined.
    pub(crate) window: u64,
    /// Directory of the store.
    pub(crate) directory: &'r Path,
    /// Creates the commit with a given number.
    pub(crate) commit: fn(u64) -> Transaction,
}

/// The result of a run. Its daemon is still running.
pub(crate) struct Grown {
    pub(crate) daemon: Daemon,
    pub(crate) namespace: Namespace,
    seconds: f64,
    first: Cost,
    last: Cost,
}

/// The cost of a commit in a window, in microseconds.
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
    done: u64,
}

impl Growth<'_> {
    /// Performs the run on a new store at `home`.
    ///
    /// # Errors
    /// If a commit fails.
    pub(crate) async fn run(&self, home: &Home) -> anyhow::Result<Grown> {
        ensure!(
            self.commits >= self.warm_up + 4 * self.window,
            "two windows do not fit into {} commits",
            self.commits
        );
        let daemon = home.start_without_polling()?;
        let mut growing = Growing {
            pipeline: Pipeline::to(&daemon).await?,
            daemon,
            done: 0,
        };
        let start = Instant::now();
        self.commit_to(&mut growing, self.warm_up).await?;
        let first = self.measure(&mut growing).await?;
        let middle = self.commits - 2 * self.window;
        self.commit_to(&mut growing, middle).await?;
        let last = self.measure(&mut growing).await?;
        Ok(Grown {
            namespace: growing.pipeline.namespace().clone(),
            daemon: growing.daemon,
            seconds: start.elapsed().as_secs_f64(),
            first,
            last,
        })
    }

    /// Describes how the cost is measured.
    pub(crate) fn about(&self) -> String {
        format!(
            "a window of {} commits one at a time and {} pipelined ({IN_FLIGHT} in flight, blocks of {BLOCK}) after {} and at the end; medians",
            self.window, self.window, self.warm_up
        )
    }

    async fn commit_to(&self, growing: &mut Growing, end: u64) -> anyhow::Result<()> {
        while growing.done < end {
            let next = self.next(growing);
            let committed = growing.pipeline.commit(next).await;
            committed.with_context(|| format!("commit {}", growing.done))?;
        }
        Ok(())
    }

    async fn measure(&self, growing: &mut Growing) -> anyhow::Result<Cost> {
        growing.pipeline.finish().await?;
        let mut alone = Vec::new();
        for _ in 0..self.window {
            let start = Instant::now();
            let next = self.next(growing);
            growing.pipeline.namespace().commit(next).await?;
            alone.push(start.elapsed().as_secs_f64() * 1e6);
        }
        let busy = growing.daemon.counters().busy_ns()?;
        let mut blocks = Vec::new();
        let mut start = Instant::now();
        for number in 1..=self.window {
            let next = self.next(growing);
            growing.pipeline.commit(next).await?;
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
            reference: disk_baseline::append(self.directory, 1_000, REFERENCE_BYTES)?.median_us,
        })
    }

    fn next(&self, growing: &mut Growing) -> Transaction {
        let number = growing.done;
        growing.done += 1;
        (self.commit)(number)
    }
}

impl Grown {
    /// Adds the figures to a report, and the target that no cost more than doubles.
    pub(crate) fn tell(&self, report: &mut Report) -> anyhow::Result<()> {
        let (first, last) = (&self.first, &self.last);
        let memory = self.daemon.counters().peak_memory_kib()?;
        report.figure("seconds", self.seconds);
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
        let mut at_most_double = |what: &str, last: f64, first: f64| {
            let what = format!("{what}, last to first window");
            report.at_most(&what, last / first, 2.0);
        };
        at_most_double("latency of one commit", last.alone, first.alone);
        at_most_double(
            "time of a pipelined commit",
            last.pipelined,
            first.pipelined,
        );
        at_most_double(
            "processor time of a pipelined commit",
            last.processor,
            first.processor,
        );
        Ok(())
    }
}
