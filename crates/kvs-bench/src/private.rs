//! A private daemon: `kvs serve` as a child process, with store and socket in a directory of the
//! caller. Used by commands that bring their own daemon (`kvs demo`, `kvs bench`).

use std::ffi::OsStr;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use kvs_server::READY;

/// Time after SIGTERM until the daemon is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause before retrying to remove a directory that was written to meanwhile.
const REMOVE_PAUSE: Duration = Duration::from_millis(10);

/// A running daemon, killed on drop.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    uri: String,
}

impl Daemon {
    /// Starts the daemon with default options and waits until it is ready.
    pub async fn start(directory: &Path) -> anyhow::Result<Daemon> {
        Self::start_with(directory, &[] as &[&str]).await
    }

    /// Like [`start`](Self::start), with options for `kvs serve`. Creates the store if it does not
    /// exist.
    pub async fn start_with(
        directory: &Path,
        options: &[impl AsRef<OsStr>],
    ) -> anyhow::Result<Daemon> {
        let uri = format!("unix:{}", directory.join("kvs.sock").display());
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg("--store")
            .arg(store(directory))
            .args(["--uri", &uri])
            .arg("--until-eof")
            // The user did not ask for log messages about its start and stop.
            .args(["--log", "warn"])
            .args(options)
            // Held open by the child's handle, so that the daemon never outlives its user.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start `kvs serve`")?;
        let stderr = child
            .stderr
            .take()
            .context("the daemon has no standard error")?;
        let mut lines = BufReader::new(stderr).lines();
        wait_until_ready(&mut lines).await?;
        tokio::spawn(pass_on(lines));
        Ok(Daemon { child, uri })
    }

    /// Returns the address of the daemon.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Kills the daemon with SIGKILL and reaps it. Unsynced data is lost as in a crash of the
    /// process.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("cannot kill the daemon")
    }

    /// Stops the daemon with SIGTERM and waits for it.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            // It may have exited already; its status will show.
            let _ = kill_process(pid, Signal::TERM);
        }
        // `wait` closes the daemon's standard input, which would stop it as well.
        match tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await {
            Ok(status) => {
                let status = status?;
                ensure!(
                    status.success(),
                    "the daemon failed while it was shutting down: {status}"
                );
                Ok(())
            }
            Err(_) => {
                self.child.kill().await?;
                bail!("the daemon did not end and was killed")
            }
        }
    }
}

/// Removes the directory of a dropped daemon, which may still run for a moment.
pub async fn remove(directory: TempDir) -> std::io::Result<()> {
    let path = directory.keep();
    let deadline = Instant::now() + STOP_TIMEOUT;
    loop {
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(_) if Instant::now() < deadline => tokio::time::sleep(REMOVE_PAUSE).await,
            done => return done,
        }
    }
}

/// Returns the path of the store in a private daemon's directory.
pub(crate) fn store(directory: &Path) -> std::path::PathBuf {
    directory.join("store")
}

/// Reads the daemon's standard error up to the line that reports readiness.
async fn wait_until_ready(lines: &mut Lines<BufReader<ChildStderr>>) -> anyhow::Result<()> {
    let mut said = String::new();
    while let Some(line) = lines.next_line().await? {
        if line.starts_with(READY) {
            return Ok(());
        }
        said.push_str(&line);
        said.push('\n');
    }
    bail!("the daemon ended before it was ready: {}", said.trim_end())
}

/// Forwards the rest of the daemon's standard error.
async fn pass_on(mut lines: Lines<BufReader<ChildStderr>>) {
    while let Ok(Some(line)) = lines.next_line().await {
        // A failure cannot be reported anywhere.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}
