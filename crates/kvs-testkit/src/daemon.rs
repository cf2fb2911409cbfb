//! A daemon as a child process: started, reached, killed, stopped.
//!
//! A `Home` is a place for a store and a socket that outlives daemons, so that one can be killed
//! and the next started on what it left. Nothing waits by sleeping: the daemon says when it can be
//! reached, and its end is waited for.

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

/// How long anything may take before it counts as a hang.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// What a daemon says on standard error when it can be reached.
const READY: &str = "kvs: serving on ";

/// Variables that would change what a daemon does.
const VARIABLES: [&str; 5] = [
    "KVS_URI",
    "KVS_NAMESPACE",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    "NOTIFY_SOCKET",
];

/// A store's directory and a socket's path. Removed with the value.
#[derive(Debug)]
pub struct Home {
    store: tempfile::TempDir,
    // Apart, as a socket's path must be short.
    run: tempfile::TempDir,
}

/// A daemon that did not start.
#[derive(Debug)]
pub struct Refused {
    /// How it ended.
    pub status: ExitStatus,
    /// What it said on standard error.
    pub message: String,
}

impl Home {
    /// A new place, in the directory for temporary files.
    pub fn new() -> anyhow::Result<Self> {
        Self::in_directory(&std::env::temp_dir())
    }

    /// A new place whose store is below that directory, which is made if need be.
    pub fn in_directory(directory: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory)?;
        Ok(Self {
            store: tempfile::tempdir_in(directory)?,
            run: tempfile::tempdir()?,
        })
    }

    /// The store's directory. It is made by the first daemon.
    pub fn store(&self) -> PathBuf {
        self.store.path().join("store")
    }

    /// The socket's path.
    pub fn socket(&self) -> PathBuf {
        self.run.path().join("kvs.sock")
    }

    /// The daemon's address, as `--uri` takes it.
    pub fn uri(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    /// Starts a daemon; returns when it can be reached.
    pub fn start(&self) -> anyhow::Result<Daemon> {
        self.start_with(&[])
    }

    /// The same, but its threads sleep when they have nothing to do, so that all its processor time
    /// is that of work.
    pub fn start_without_polling(&self) -> anyhow::Result<Daemon> {
        self.start_with(&["--busy-poll", "0"])
    }

    /// The same, with options for `kvs serve`.
    pub fn start_with(&self, options: &[&str]) -> anyhow::Result<Daemon> {
        let mut command = self.command(program()?);
        command.args(options);
        match Daemon::spawn(command, self.socket())? {
            Ok(daemon) => Ok(daemon),
            Err(refused) => bail!("the daemon ended, {}: {}", refused.status, refused.message),
        }
    }

    /// A command for the daemon here.
    pub fn client(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(program()?);
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command.args(["--uri", &self.uri()]).args(arguments);
        Ok(command)
    }

    /// The command that runs a daemon here, for changes before [`Daemon::spawn`].
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

/// A running daemon. Killed when it is dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    lines: Receiver<String>,
    socket: PathBuf,
}

impl Daemon {
    /// Runs the command of a daemon until it can be reached, or ends.
    pub fn spawn(mut command: Command, socket: PathBuf) -> anyhow::Result<Result<Self, Refused>> {
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        let stderr = child.stderr.take().context("no standard error")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // It must be read on even if nobody listens, or the daemon would be stopped.
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

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A new client of it.
    pub async fn connect(&self) -> anyhow::Result<Client> {
        self.connect_with(Options::default()).await
    }

    /// A new client of it, with options.
    pub async fn connect_with(&self, options: Options) -> anyhow::Result<Client> {
        Ok(Client::connect_with(self.connector(), options).await?)
    }

    /// How clients of it connect.
    pub fn connector(&self) -> UnixConnector {
        UnixConnector::new(Address::Unix(self.socket.clone()))
    }

    /// The namespace `primary` of a new client.
    pub async fn primary(&self) -> anyhow::Result<Namespace> {
        Ok(self.connect().await?.namespace("primary"))
    }

    /// `kill -9`; returns when it is gone.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM; returns when it has ended, with its status and what it said meanwhile.
    pub fn stop(self) -> anyhow::Result<Refused> {
        self.terminate()?;
        self.wait()
    }

    /// The same; an error unless it ended well.
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

    /// Waits until it has ended.
    pub fn wait(mut self) -> anyhow::Result<Refused> {
        let deadline = Instant::now() + PATIENCE;
        let mut said = Vec::new();
        // Standard error ends with the process.
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

    /// SIGTERM; the bytes that it wrote to disk in its life, its last checkpoint included.
    pub fn stop_and_count(self) -> anyhow::Result<u64> {
        let pid = self.pid()?;
        let counters = self.counters();
        self.terminate()?;
        // Its counters can be read until it is waited for.
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

    /// What the kernel counts for it.
    pub fn counters(&self) -> Counters {
        Counters::of(self.id())
    }

    fn pid(&self) -> anyhow::Result<Pid> {
        Pid::from_raw(self.id().try_into()?).context("no process id")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
