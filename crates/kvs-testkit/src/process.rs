//! What the kernel counts for a process: bytes written to disk, time on a processor, memory.

use std::path::PathBuf;

use anyhow::{Context, anyhow};

/// Counters of one process, read from `/proc`.
#[derive(Clone, Debug)]
pub struct Counters {
    directory: PathBuf,
}

impl Counters {
    /// The counters of a process of this user.
    pub fn of(pid: u32) -> Self {
        Self {
            directory: PathBuf::from(format!("/proc/{pid}")),
        }
    }

    /// The counters of this process.
    pub fn own() -> Self {
        Self::of(std::process::id())
    }

    /// Bytes that it caused to be written to disk, also when it has ended but was not waited for.
    pub fn written(&self) -> anyhow::Result<u64> {
        self.field("io", "write_bytes:")
    }

    /// Most memory that it had, in KiB.
    pub fn peak_memory_kib(&self) -> anyhow::Result<u64> {
        self.field("status", "VmHWM:")
    }

    /// Memory that it has, in KiB.
    pub fn memory_kib(&self) -> anyhow::Result<u64> {
        self.field("status", "VmRSS:")
    }

    /// Bytes that it read out of files, those included that were in memory already.
    pub fn read(&self) -> anyhow::Result<u64> {
        self.field("io", "rchar:")
    }

    /// Nanoseconds that its threads, the ended ones not counted, were on a processor.
    pub fn busy_ns(&self) -> anyhow::Result<u64> {
        let mut sum = 0;
        for thread in std::fs::read_dir(self.directory.join("task"))? {
            // A thread may end while it is looked at.
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
