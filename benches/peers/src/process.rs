//! Another system's process: started on a temporary directory, killed when it is dropped.

use std::ffi::OsStr;
use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tempfile::TempDir;

use super::pipe::Place;

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is looked whether the process can be reached.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// File in the directory that takes what the process says.
const LOG: &str = "said.log";

/// A running process with a directory of its own.
pub(crate) struct Process {
    child: Child,
    directory: TempDir,
}

impl Process {
    /// Makes a directory for a system, below `parent`.
    pub(crate) fn directory(parent: &Path) -> anyhow::Result<TempDir> {
        let made = tempfile::Builder::new().prefix("peer-").tempdir_in(parent);
        made.with_context(|| format!("cannot use {}", parent.display()))
    }

    /// Runs a program in the directory until it can be reached.
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

    /// The end of what it said.
    fn said(&self) -> String {
        let text = std::fs::read_to_string(self.directory.path().join(LOG)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody has at the moment.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A program of that name in `PATH`, or in the directories for daemons.
pub(crate) fn find(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}

/// The first line that a program prints.
pub(crate) fn first_line(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or_default().trim().to_owned()
}
