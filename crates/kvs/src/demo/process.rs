//! A status client as a child process that can be started, finished, or killed while it works.
//!
//! On its standard output the child reports how many transitions it has handled, one number per
//! line; on its standard input it receives the version after which it ends.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;

/// How one client of the demo runs.
#[derive(Clone, Debug)]
pub(crate) struct ClientPlan {
    /// Role, as shown in the report.
    pub(crate) role: &'static str,
    /// Path of the record file.
    pub(crate) record: PathBuf,
    /// Whether it is deliberately slow.
    pub(crate) slow: bool,
    /// Number of transitions at which its first process is killed, if at all.
    pub(crate) kill_at: Option<u64>,
}

/// Progress of a client, shared with the progress bar. Survives the death of the process.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    handled: AtomicU64,
    changed: Notify,
}

impl Progress {
    /// Transitions handled so far, by all processes of the client.
    pub(crate) fn handled(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }

    /// Waits until the count has reached `least`.
    pub(crate) async fn reaches(&self, least: u64) {
        loop {
            let changed = self.changed.notified();
            if self.handled() >= least {
                return;
            }
            changed.await;
        }
    }
}

/// One process of a status client; killed on drop.
#[derive(Debug)]
pub(crate) struct ClientProcess {
    child: Child,
}

impl ClientProcess {
    /// Starts the process. It resumes from its record file, if there is one.
    ///
    /// With `first_life`, it stops by itself some way after `kill_at` and waits to be killed. So it
    /// is usually killed while it works, and never too late.
    pub(crate) fn start(
        plan: &ClientPlan,
        uri: &str,
        first_life: bool,
        progress: &Arc<Progress>,
    ) -> anyhow::Result<ClientProcess> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("demo-client")
            .arg("--record")
            .arg(&plan.record)
            .env("KVS_URI", uri);
        if plan.slow {
            command.arg("--slow");
        }
        if let (true, Some(kill_at)) = (first_life, plan.kill_at) {
            command
                .arg("--hold-at")
                .arg((kill_at + kill_at / 2).to_string());
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a status client")?;
        let stdout = child
            .stdout
            .take()
            .context("a status client has no standard output")?;
        let progress = Arc::clone(progress);
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(handled) = line.parse() {
                    // A late line of an earlier process must not reduce the count.
                    progress.handled.fetch_max(handled, Ordering::Relaxed);
                    progress.changed.notify_waiters();
                }
            }
        });
        Ok(ClientProcess { child })
    }

    /// Kills the process with SIGKILL and reaps it.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        self.child
            .kill()
            .await
            .context("cannot kill a status client")
    }

    /// Sends the client the last version to handle, and waits until it has ended.
    pub(crate) async fn finish(mut self, version: u64) -> anyhow::Result<()> {
        let mut stdin = self
            .child
            .stdin
            .take()
            .context("a status client has no standard input")?;
        stdin.write_all(format!("{version}\n").as_bytes()).await?;
        drop(stdin);
        let status = self.child.wait().await?;
        anyhow::ensure!(status.success(), "a status client failed: {status}");
        Ok(())
    }
}
