//! A private daemon: `kvs serve` as a child process, on a store and a socket in a directory of its
//! user's, for verbs that bring their own (`kvs demo`, `kvs bench`).

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

/// How long the daemon may take to end after SIGTERM before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait before a directory that was written to meanwhile is removed again.
const REMOVE_PAUSE: Duration = Duration::from_millis(10);

/// A running daemon; killed when it is dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    uri: String,
}

impl Daemon {
    /// Starts the daemon with the default options and waits until it says that it is ready.
    pub async fn start(directory: &Path) -> anyhow::Result<Daemon> {
        Self::start_with(directory, &[] as &[&str]).await
    }

    /// The same, with options of `kvs serve`. The store is made if it is not there.
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
            // Its starts and stops are not what was asked for.
            .args(["--log", "warn"])
            .args(options)
            // Held open by the child's handle, so that a daemon never outlives its user.
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

    /// The daemon's address.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Ends the daemon with SIGKILL and reaps it; what it had not synced is lost as in a crash of
    /// the process.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("cannot kill the daemon")
    }

    /// Ends the daemon with SIGTERM and waits for it.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            // It may have ended meanwhile; its status will tell.
            let _ = kill_process(pid, Signal::TERM);
        }
        // `wait` closes the daemon's standard input, which would end it as well.
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

/// Removes the directory of a daemon that was dropped, which may live for a moment yet.
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

/// Where the store is in a private daemon's directory.
pub(crate) fn store(directory: &Path) -> std::path::PathBuf {
    directory.join("store")
}

/// Reads the daemon's standard error up to the line that says that it is ready.
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

/// Shows whatever else the daemon has to say.
async fn pass_on(mut lines: Lines<BufReader<ChildStderr>>) {
    while let Ok(Some(line)) = lines.next_line().await {
        // There is nowhere to report that nobody reads it.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}
