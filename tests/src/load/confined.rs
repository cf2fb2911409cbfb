//! A daemon with few descriptors and few threads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use kvs_testkit::program;
use kvs_testkit::{Daemon, Home};

/// Limits the descriptors, joins a control group if one is given, and executes the remaining
/// arguments.
const SCRIPT: &str = r#"set -e
ulimit -n "$1"
if [ -n "$2" ]; then echo $$ > "$2/cgroup.procs"; fi
shift 2
exec "$@""#;

/// The limits, which apply to each daemon started with them.
#[derive(Debug)]
pub(crate) struct Confined {
    descriptors: u64,
    group: Result<PidsGroup, String>,
}

/// A control group that limits processes and threads. Removed on drop.
#[derive(Debug)]
struct PidsGroup(PathBuf);

impl Confined {
    /// Limits descriptors, and also threads if this user may do so on this machine.
    pub(crate) fn new(descriptors: u64, threads: u64) -> Self {
        Self {
            descriptors,
            group: PidsGroup::new(threads).map_err(|error| format!("{error:#}")),
        }
    }

    /// Returns why threads are not limited, if so.
    pub(crate) fn missing(&self) -> Option<&str> {
        self.group.as_ref().err().map(String::as_str)
    }

    /// Starts a daemon within the limits.
    pub(crate) fn start(&self, home: &Home, options: &[&str]) -> anyhow::Result<Daemon> {
        let inner = home.command(program()?);
        let group = self.group.as_ref().map_or(Path::new(""), |group| &group.0);
        let mut command = Command::new("sh");
        command
            .args(["-c", SCRIPT, "sh", &self.descriptors.to_string()])
            .arg(group)
            .arg(inner.get_program())
            .args(inner.get_args())
            .args(options)
            .stdin(Stdio::null());
        for (variable, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(variable, value),
                None => command.env_remove(variable),
            };
        }
        match Daemon::spawn(command, home.socket())? {
            Ok(daemon) => Ok(daemon),
            Err(refused) => bail!("the daemon ended, {}: {}", refused.status, refused.message),
        }
    }

    /// Returns the peak number of threads, if the kernel counts them.
    pub(crate) fn most_threads(&self) -> Option<f64> {
        let group = self.group.as_ref().ok()?;
        let text = fs::read_to_string(group.0.join("pids.peak")).ok()?;
        text.trim().parse().ok()
    }

    /// Returns the number of refused threads, if the kernel counts them.
    pub(crate) fn refused_threads(&self) -> Option<f64> {
        let group = self.group.as_ref().ok()?;
        let text = fs::read_to_string(group.0.join("pids.events")).ok()?;
        let most = text.lines().find_map(|line| line.strip_prefix("max "));
        most?.trim().parse().ok()
    }
}

impl PidsGroup {
    /// Creates a group below that of this process, in whichever hierarchy has the controller.
    fn new(threads: u64) -> anyhow::Result<Self> {
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let place = |line: &str| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            let mount = match controllers {
                "" => "/sys/fs/cgroup",
                _ if controllers.split(',').any(|name| name == "pids") => "/sys/fs/cgroup/pids",
                _ => return None,
            };
            Some(Path::new(mount).join(path.trim_start_matches('/')))
        };
        let mut why = "no hierarchy of control groups counts processes".to_owned();
        for parent in own.lines().filter_map(place) {
            match Self::below(&parent, threads) {
                Ok(group) => return Ok(group),
                Err(error) => why = format!("{error:#}"),
            }
        }
        bail!(why)
    }

    fn below(parent: &Path, threads: u64) -> anyhow::Result<Self> {
        let path = parent.join(format!("kvs-box-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let group = Self(path);
        let limit = group.0.join("pids.max");
        // The file exists only if the controller is enabled.
        fs::metadata(&limit).with_context(|| format!("no {}", limit.display()))?;
        fs::write(&limit, threads.to_string())
            .with_context(|| format!("cannot write {}", limit.display()))?;
        Ok(group)
    }
}

impl Drop for PidsGroup {
    fn drop(&mut self) {
        // All members have exited; a leftover group is harmless.
        let _ = fs::remove_dir(&self.0);
    }
}
