//! A daemon as a child process: start, connect, kill, stop.
//!
//! A `Home` holds a store and a socket and outlives daemons, so that a daemon can be killed and the
//! next one started on the same store. Nothing polls: the daemon reports when it is ready, and its
//! exit is awaited.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use kvs_client::{Address, Client, Namespace, Options, UnixConnector};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::binary::program;
use crate::process::Counters;

/// Timeout after which any operation counts as hung.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Prefix of the line on standard error that reports readiness.
const READY: &str = "kvs: serving on ";

/// Environment variables that would affect the daemon.
const VARIABLES: [&str; 5] = [
    "KVS_URI",
    "KVS_NAMESPACE",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    "NOTIFY_SOCKET",
];

/// A store directory and a socket path. Both are removed on drop.
#[derive(Debug)]
pub struct Home {
    store: tempfile::TempDir,
    // Separate, because the path of a socket must be short.
    run: tempfile::TempDir,
}

/// A daemon that did not start, or has ended.
#[derive(Debug)]
pub struct Refused {
    /// Exit status.
    pub status: ExitStatus,
    /// Output on standard error.
    pub message: String,
}

impl Home {
    /// Creates a home in the directory for temporary files.
    pub fn new() -> anyhow::Result<Self> {
        Self::in_directory(&std::env::temp_dir())
    }

    /// Creates a home with its store below `directory`, which is created if necessary.
    pub fn in_directory(directory: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory)?;
        Ok(Self {
            store: tempfile::tempdir_in(directory)?,
            run: tempfile::tempdir()?,
        })
    }

    /// Returns the directory of the store. The first daemon creates it.
    pub fn store(&self) -> PathBuf {
        self.store.path().join("store")
    }

    /// Returns the path of the socket.
    pub fn socket(&self) -> PathBuf {
        self.run.path().join("kvs.sock")
    }

    /// Returns the address of the daemon, as for `--uri`.
    pub fn uri(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    /// Starts a daemon and waits until it is ready.
    pub fn start(&self) -> anyhow::Result<Daemon> {
        self.start_with(&[])
    }

    /// Like [`start`](Self::start), but without busy polling, so that all CPU time is spent on
    /// work.
    pub fn start_without_polling(&self) -> anyhow::Result<Daemon> {
        self.start_with(&["--busy-poll", "0"])
    }

    /// Like [`start`](Self::start), with options for `kvs serve`.
    pub fn start_with(&self, options: &[&str]) -> anyhow::Result<Daemon> {
        let mut command = self.command(program()?);
        command.args(options);
        match Daemon::spawn(command, self.socket())? {
            Ok(daemon) => Ok(daemon),
            Err(refused) => bail!("the daemon ended, {}: {}", refused.status, refused.message),
        }
    }

    /// Returns a client command for the daemon of this home.
    pub fn client(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(program()?);
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command.args(["--uri", &self.uri()]).args(arguments);
        Ok(command)
    }

    /// Returns the command that runs a daemon here, to be modified before [`Daemon::spawn`].
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command
            .args(["--uri", &self.uri(), "serve", "--log", "warn", "--store"])
            .arg(self.store())
            .stdin(Stdio::null());
        command
    }
}

/// A running daemon, killed on drop.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    lines: Receiver<String>,
    socket: PathBuf,
}

impl Daemon {
    /// Runs a daemon command until the daemon is ready or exits.
    pub fn spawn(mut command: Command, socket: PathBuf) -> anyhow::Result<Result<Self, Refused>> {
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        let stderr = child.stderr.take().context("no standard error")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Keep reading even without a receiver, or the daemon would block.
                let _ = sender.send(line);
            }
        });
        let mut daemon = Self {
            child,
            lines,
            socket,
        };
        let mut said = Vec::new();
        loop {
            match daemon.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.starts_with(READY) => return Ok(Ok(daemon)),
                Ok(line) => said.push(line),
                Err(RecvTimeoutError::Timeout) => bail!("the daemon neither starts nor ends"),
                Err(RecvTimeoutError::Disconnected) => {
                    let status = daemon.child.wait()?;
                    let message = said.join("\n");
                    return Ok(Err(Refused { status, message }));
                }
            }
        }
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Connects a new client.
    pub async fn connect(&self) -> anyhow::Result<Client> {
        self.connect_with(Options::default()).await
    }

    /// Connects a new client with options.
    pub async fn connect_with(&self, options: Options) -> anyhow::Result<Client> {
        Ok(Client::connect_with(self.connector(), options).await?)
    }

    /// Returns a connector to this daemon.
    pub fn connector(&self) -> UnixConnector {
        UnixConnector::new(Address::Unix(self.socket.clone()))
    }

    /// Returns the namespace `primary` of a new client.
    pub async fn primary(&self) -> anyhow::Result<Namespace> {
        Ok(self.connect().await?.namespace("primary"))
    }

    /// Kills the daemon with SIGKILL and waits until it is gone.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Stops the daemon with SIGTERM and waits; returns its status and remaining output.
    pub fn stop(self) -> anyhow::Result<Refused> {
        self.terminate()?;
        self.wait()
    }

    /// Like [`stop`](Self::stop), but fails unless the daemon exits successfully.
    pub fn stop_cleanly(self) -> anyhow::Result<()> {
        let ended = self.stop()?;
        ensure!(
            ended.status.success(),
            "{}: {}",
            ended.status,
            ended.message
        );
        Ok(())
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) -> anyhow::Result<()> {
        Ok(kill_process(self.pid()?, Signal::TERM)?)
    }

    /// Waits until the daemon exits.
    pub fn wait(mut self) -> anyhow::Result<Refused> {
        let deadline = Instant::now() + PATIENCE;
        let mut said = Vec::new();
        // Standard error is closed when the process exits.
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => said.push(line),
                Err(RecvTimeoutError::Timeout) => bail!("the daemon does not end"),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.child.wait()?;
        let message = said.join("\n");
        Ok(Refused { status, message })
    }

    /// Stops the daemon with SIGTERM; returns the total bytes that it wrote to disk, including its
    /// last checkpoint.
    pub fn stop_and_count(self) -> anyhow::Result<u64> {
        let pid = self.pid()?;
        let counters = self.counters();
        self.terminate()?;
        // The counters can be read until the process is reaped.
        waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        )?;
        let written = counters.written()?;
        let ended = self.wait()?;
        if !ended.status.success() {
            bail!("the daemon ended, {}: {}", ended.status, ended.message);
        }
        Ok(written)
    }

    /// Returns the kernel's counters of the process.
    pub fn counters(&self) -> Counters {
        Counters::of(self.id())
    }

    fn pid(&self) -> anyhow::Result<Pid> {
        Pid::from_raw(self.id().try_into()?).context("no process id")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The daemon may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
