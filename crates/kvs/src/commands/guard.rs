//! The guard of `kvs start`: a separate process that owns the temporary directory. It outlives its
//! parent, even after SIGKILL, just long enough to remove the directory.
//!
//! Its standard input and output are pipes to the parent. It prints the path of the directory,
//! reads the process id of the command and later that the command has ended. At the end of input it
//! terminates a command that is still running and removes the directory.

use std::io::{BufRead as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{ExitCode, Stdio};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::signals::Signals;

/// The hidden verb of the guard.
const VERB: &str = "start-guard";
/// The line sent when the command has ended.
const OVER: &str = "over";

/// Runs the guard.
pub(crate) fn run() -> Result<ExitCode> {
    // Signals are handled by the guarded process.
    let _caught = Signals::catch()?;
    let directory = tempfile::Builder::new().prefix("kvs-start-").tempdir()?;
    let path = directory
        .path()
        .to_str()
        .context("the temporary directory is not UTF-8")?;
    // If nobody reads this, the input has ended too.
    let _ = writeln!(std::io::stdout(), "{path}");
    let mut command: Option<OwnedFd> = None;
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        command = line
            .parse()
            .ok()
            .and_then(Pid::from_raw)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    }
    if let Some(command) = command {
        // The command may have ended by itself.
        let _ = pidfd_send_signal(command, Signal::TERM);
    }
    directory.close()?;
    Ok(ExitCode::SUCCESS)
}

/// Handle of a running guard.
#[derive(Debug)]
pub(super) struct Guard {
    child: Child,
    input: ChildStdin,
    directory: String,
}

impl Guard {
    /// Starts the guard and waits until its directory exists.
    pub(super) async fn start() -> Result<Guard> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(VERB)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Keeps the terminal's signals away from the guard.
            .process_group(0)
            .spawn()
            .context("cannot start a process of `kvs`")?;
        let input = child.stdin.take().context("no pipe")?;
        let output = child.stdout.take().context("no pipe")?;
        let directory = BufReader::new(output).lines().next_line().await?;
        let directory = directory.context("cannot make a temporary directory")?;
        Ok(Guard {
            child,
            input,
            directory,
        })
    }

    /// The temporary directory.
    pub(super) fn directory(&self) -> &std::path::Path {
        self.directory.as_ref()
    }

    /// Makes the guard terminate this process at the end of input.
    pub(super) async fn watch(&mut self, pid: u32) {
        self.tell(&pid.to_string()).await;
    }

    /// Reports that the process has ended by itself.
    pub(super) async fn over(&mut self) {
        self.tell(OVER).await;
    }

    async fn tell(&mut self, line: &str) {
        // If the guard is gone, the directory is removed without it.
        let _ = self.input.write_all(format!("{line}\n").as_bytes()).await;
    }

    /// Waits until the directory is removed.
    pub(super) async fn end(self) -> Result<()> {
        let Guard {
            mut child,
            input,
            directory,
        } = self;
        drop(input);
        child.wait().await?;
        match std::fs::remove_dir_all(directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}
