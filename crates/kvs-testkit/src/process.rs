//! The kernel's counters of a process: bytes written to disk, CPU time, memory.

use std::path::PathBuf;

use anyhow::{Context, anyhow};

/// Counters of a process, read from `/proc`.
#[derive(Clone, Debug)]
pub struct Counters {
    directory: PathBuf,
}

impl Counters {
    /// Returns the counters of a process of this user.
    pub fn of(pid: u32) -> Self {
        Self {
            directory: PathBuf::from(format!("/proc/{pid}")),
        }
    }

    /// Returns the counters of this process.
    pub fn own() -> Self {
        Self::of(std::process::id())
    }

    /// Returns the bytes that the process wrote to disk. Also works after its exit until it is
    /// reaped.
    pub fn written(&self) -> anyhow::Result<u64> {
        self.field("io", "write_bytes:")
    }

    /// Returns the peak resident memory in KiB.
    pub fn peak_memory_kib(&self) -> anyhow::Result<u64> {
        self.field("status", "VmHWM:")
    }

    /// Returns the current resident memory in KiB.
    pub fn memory_kib(&self) -> anyhow::Result<u64> {
        self.field("status", "VmRSS:")
    }

    /// Returns the bytes that the process read from files, including those in the page cache.
    pub fn read(&self) -> anyhow::Result<u64> {
        self.field("io", "rchar:")
    }

    /// Returns the CPU time of its threads in nanoseconds, excluding threads that have ended.
    pub fn busy_ns(&self) -> anyhow::Result<u64> {
        let mut sum = 0;
        for thread in std::fs::read_dir(self.directory.join("task"))? {
            // The thread may end meanwhile.
            if let Ok(text) = std::fs::read_to_string(thread?.path().join("schedstat")) {
                sum += number(text.split_whitespace().next().unwrap_or_default())?;
            }
        }
        Ok(sum)
    }

    fn field(&self, file: &str, name: &str) -> anyhow::Result<u64> {
        let path = self.directory.join(file);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|rest| rest.split_whitespace().next());
        number(value.with_context(|| format!("{} has no {name}", path.display()))?)
    }
}

fn number(text: &str) -> anyhow::Result<u64> {
    text.parse().map_err(|_| anyhow!("{text:?} is no number"))
}
