//! Samples the memory of a running client command.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use anyhow::{Context, bail};

use kvs_testkit::Counters;

/// Sampling interval. The kernel keeps the peak, so only a peak within the last interval before the
/// exit can be missed.
const EVERY: Duration = Duration::from_millis(2);

/// A running command, killed on drop.
pub(crate) struct Streamed {
    child: Child,
    over: Arc<AtomicBool>,
    peak_kib: Arc<AtomicU64>,
    looking: Option<JoinHandle<()>>,
}

impl Streamed {
    /// Starts a command.
    pub(crate) fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.spawn().context("cannot run kvs")?;
        let counters = Counters::of(child.id());
        let over = Arc::new(AtomicBool::new(false));
        let peak_kib = Arc::new(AtomicU64::new(0));
        let looking = spawn({
            let (over, peak_kib) = (Arc::clone(&over), Arc::clone(&peak_kib));
            move || {
                while !over.load(Ordering::Relaxed) {
                    // Fails once the process has exited.
                    if let Ok(peak) = counters.peak_memory_kib() {
                        peak_kib.fetch_max(peak, Ordering::Relaxed);
                    }
                    sleep(EVERY);
                }
            }
        });
        Ok(Self {
            child,
            over,
            peak_kib,
            looking: Some(looking),
        })
    }

    /// Passes each line of output to `take` and waits for a successful exit. Returns the peak
    /// memory in KiB.
    pub(crate) fn lines(
        mut self,
        mut take: impl FnMut(&str) -> anyhow::Result<()>,
    ) -> anyhow::Result<u64> {
        let out = self.child.stdout.take().context("no standard output")?;
        let mut out = BufReader::new(out);
        let mut line = String::new();
        while out.read_line(&mut line)? > 0 {
            take(line.trim_end_matches('\n'))?;
            line.clear();
        }
        self.wait()
    }

    /// Reads all output and waits for a successful exit. Returns the peak memory in KiB and the
    /// number of bytes printed.
    pub(crate) fn bytes(mut self) -> anyhow::Result<(u64, u64)> {
        let mut out = self.child.stdout.take().context("no standard output")?;
        let printed = io::copy(&mut out, &mut io::sink())?;
        Ok((self.wait()?, printed))
    }

    /// Waits for a successful exit. Returns the peak memory in KiB.
    pub(crate) fn wait(mut self) -> anyhow::Result<u64> {
        let status = self.child.wait()?;
        self.stop_looking();
        if !status.success() {
            bail!("the command ended, {status}");
        }
        Ok(self.peak_kib.load(Ordering::Relaxed))
    }

    fn stop_looking(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(looking) = self.looking.take() {
            // The thread returns nothing.
            let _ = looking.join();
        }
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        // The command may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.stop_looking();
    }
}
