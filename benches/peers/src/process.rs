//! A process of another system, started in a temporary directory and killed on drop.

use std::ffi::OsStr;
use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tempfile::TempDir;

use super::pipe::Place;

/// Timeout of a start.
const PATIENCE: Duration = Duration::from_secs(20);

/// Interval between connection attempts.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Log file in the directory, with the output of the process.
const LOG: &str = "said.log";

/// A running process with its own directory.
pub(crate) struct Process {
    child: Child,
    directory: TempDir,
}

impl Process {
    /// Creates a directory for a system below `parent`.
    pub(crate) fn directory(parent: &Path) -> anyhow::Result<TempDir> {
        let made = tempfile::Builder::new().prefix("peer-").tempdir_in(parent);
        made.with_context(|| format!("cannot use {}", parent.display()))
    }

    /// Starts a program in the directory and waits until it accepts connections.
    pub(crate) fn start(
        directory: TempDir,
        program: &Path,
        arguments: &[impl AsRef<OsStr>],
        place: &Place,
    ) -> anyhow::Result<Process> {
        let log = File::create(directory.path().join(LOG))?;
        let child = Command::new(program)
            .args(arguments)
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let mut process = Process { child, directory };
        let deadline = Instant::now() + PATIENCE;
        while !place.answers() {
            let ended = process.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                bail!("{} does not start: {}", program.display(), process.said());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(process)
    }

    /// Returns the last lines of its output.
    fn said(&self) -> String {
        let text = std::fs::read_to_string(self.directory.path().join(LOG)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a port that is currently free.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Finds a program in `PATH` or in the directories for daemons.
pub(crate) fn find(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}

/// Returns the first line that a program prints.
pub(crate) fn first_line(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or_default().trim().to_owned()
}
