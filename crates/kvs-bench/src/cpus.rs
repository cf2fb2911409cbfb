//! CPU affinity. Only the main thread generates load, so its affinity is that of the clients; a
//! child process inherits the affinity of the thread that starts it.

use anyhow::Context;
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The CPUs available to this process at start.
#[derive(Clone, Debug)]
pub struct Cpus {
    all: CpuSet,
}

impl Cpus {
    /// Queries the available CPUs.
    pub fn new() -> anyhow::Result<Cpus> {
        let all = sched_getaffinity(None).context("cannot tell which CPUs may be used")?;
        Ok(Cpus { all })
    }

    /// Returns the first two CPUs, or the only one twice.
    pub(crate) fn two(&self) -> Option<(usize, usize)> {
        let mut usable = (0..CpuSet::MAX_CPU).filter(|cpu| self.all.is_set(*cpu));
        let first = usable.next()?;
        Some((first, usable.next().unwrap_or(first)))
    }

    /// Binds all threads of another process, and their children, to a CPU; `None` removes the
    /// binding.
    pub(crate) fn enter_process(&self, process: i32, cpu: Option<usize>) -> anyhow::Result<()> {
        let set = self.set(cpu)?;
        for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
            let name = thread?.file_name();
            let thread = name.to_str().and_then(|name| name.parse().ok());
            let thread = thread.and_then(Pid::from_raw);
            match sched_setaffinity(thread, &set) {
                // The thread may have ended meanwhile.
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => return Err(error).context("cannot place the daemon"),
            }
        }
        Ok(())
    }

    /// Binds the calling thread, and everything that it starts from now on, to a CPU; `None`
    /// removes the binding.
    pub(crate) fn enter(&self, cpu: Option<usize>) -> anyhow::Result<()> {
        sched_setaffinity(None, &self.set(cpu)?).with_context(|| match cpu {
            Some(cpu) => format!("cannot run on CPU {cpu}"),
            None => "cannot run on all CPUs".to_owned(),
        })
    }

    fn set(&self, cpu: Option<usize>) -> anyhow::Result<CpuSet> {
        let Some(cpu) = cpu else {
            return Ok(self.all);
        };
        anyhow::ensure!(cpu < CpuSet::MAX_CPU, "there is no CPU {cpu}");
        let mut set = CpuSet::new();
        set.set(cpu);
        Ok(set)
    }
}
