//! Where threads may run. The load is made by the main thread alone, so its affinity is that of the
//! clients; a child process inherits the affinity of the thread that starts it.

use anyhow::Context;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The CPUs that this process was started with.
#[derive(Clone, Debug)]
pub(crate) struct Cpus {
    all: CpuSet,
}

impl Cpus {
    /// Asks the system.
    pub(crate) fn new() -> anyhow::Result<Cpus> {
        let all = sched_getaffinity(None).context("cannot tell which CPUs may be used")?;
        Ok(Cpus { all })
    }

    /// The first two, or the one that there is twice.
    pub(crate) fn two(&self) -> Option<(usize, usize)> {
        let mut usable = (0..CpuSet::MAX_CPU).filter(|cpu| self.all.is_set(*cpu));
        let first = usable.next()?;
        Some((first, usable.next().unwrap_or(first)))
    }

    /// Binds the calling thread, and what it starts from now on, to a CPU; `None`: to none.
    pub(crate) fn enter(&self, cpu: Option<usize>) -> anyhow::Result<()> {
        let mut set = self.all;
        if let Some(cpu) = cpu {
            anyhow::ensure!(cpu < CpuSet::MAX_CPU, "there is no CPU {cpu}");
            set = CpuSet::new();
            set.set(cpu);
        }
        sched_setaffinity(None, &set).with_context(|| match cpu {
            Some(cpu) => format!("cannot run on CPU {cpu}"),
            None => "cannot run on all CPUs".to_owned(),
        })
    }
}
