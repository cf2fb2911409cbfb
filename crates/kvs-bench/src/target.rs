//! The daemon being measured: our own child process with its own store, or one that already runs.
//! Also the system's statistics about its process.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use kvs_client::{Address, Client, NamespaceCreate, Options, UnixConnector};
use kvs_tree::HashAlgorithm;
use smol_str::SmolStr;
use tempfile::TempDir;
use tokio::net::UnixStream;

use crate::cpus::Cpus;
use crate::plan::{Plan, Workload};
use crate::private::{self, Daemon};

/// A daemon with a namespace for one workload.
pub(crate) struct Target {
    own: Option<Own>,
    address: Address,
    pid: Option<i32>,
    namespace: SmolStr,
    hash: HashAlgorithm,
    cpus: Cpus,
    plan: Plan,
}

/// Our own daemon.
struct Own {
    /// Absent only while it restarts.
    daemon: Option<Daemon>,
    directory: TempDir,
}

impl Target {
    /// Starts our own daemon or connects to the given one, and creates the namespace.
    pub(crate) async fn open(
        plan: &Plan,
        cpus: &Cpus,
        workload: Workload,
    ) -> anyhow::Result<Target> {
        let namespace = format!("bench-{}-{}", std::process::id(), workload.name());
        let mut target = Target {
            own: None,
            address: Address::Unix(PathBuf::new()),
            pid: None,
            namespace: namespace.into(),
            hash: plan.hash,
            cpus: cpus.clone(),
            plan: plan.clone(),
        };
        match &plan.uri {
            Some(uri) => target.address = Address::parse(uri)?,
            None => {
                let directory = plan.directory.clone().unwrap_or_else(std::env::temp_dir);
                let directory = tempfile::Builder::new()
                    .prefix("kvs-bench-")
                    .tempdir_in(&directory)
                    .with_context(|| format!("cannot use {}", directory.display()))?;
                target.own = Some(Own {
                    daemon: None,
                    directory,
                });
                target.start().await?;
            }
        }
        target.pid = target.find_pid().await;
        let create = NamespaceCreate::named(target.namespace.clone());
        let client = target.connect().await?;
        // An existing store has its own algorithm.
        target.hash = client.server().algorithm.parse()?;
        client.create_namespace(create).await?;
        Ok(target)
    }

    /// Removes the namespace; stops our own daemon and removes its store.
    pub(crate) async fn close(mut self) -> anyhow::Result<()> {
        let Some(mut own) = self.own.take() else {
            let client = self.connect().await?;
            return Ok(client.remove_namespace(self.namespace).await?);
        };
        if let Some(daemon) = own.daemon.take() {
            daemon.stop().await?;
        }
        Ok(own.directory.close()?)
    }

    /// Opens a new connection.
    pub(crate) async fn connect(&self) -> anyhow::Result<Client> {
        let options = Options::new().namespace(self.namespace.clone());
        let connector = UnixConnector::new(self.address.clone());
        Ok(Client::connect_with(connector, options).await?)
    }

    /// Returns the namespace of the workload.
    pub(crate) fn namespace(&self) -> SmolStr {
        self.namespace.clone()
    }

    /// Returns the hash algorithm of the store.
    pub(crate) fn hash(&self) -> HashAlgorithm {
        self.hash
    }

    /// Returns a directory on the file system of the store, if known.
    pub(crate) fn directory(&self) -> Option<&Path> {
        match &self.own {
            Some(own) => Some(own.directory.path()),
            None => self.plan.directory.as_deref(),
        }
    }

    /// Returns the directory of our own daemon's store.
    pub(crate) fn store(&self) -> Option<PathBuf> {
        let own = self.own.as_ref()?;
        Some(private::store(own.directory.path()))
    }

    /// Stops our own daemon, with SIGKILL if `kill`, and starts it again. Returns the time from its
    /// start until it served.
    pub(crate) async fn restart(&mut self, kill: bool) -> anyhow::Result<Duration> {
        let Some(daemon) = self.own.as_mut().and_then(|own| own.daemon.take()) else {
            bail!("only our own daemon can be restarted");
        };
        if kill {
            daemon.kill().await?;
        } else {
            daemon.stop().await?;
        }
        let start = Instant::now();
        self.start().await?;
        let elapsed = start.elapsed();
        self.pid = self.find_pid().await;
        Ok(elapsed)
    }

    async fn start(&mut self) -> anyhow::Result<()> {
        let Some(own) = self.own.as_mut() else {
            return Ok(());
        };
        let pin = self.plan.pin;
        let hash = self.plan.hash.to_string();
        let options = ["--durability", &self.plan.durability, "--hash", &hash];
        // The child inherits the affinity of this thread.
        self.cpus.enter(pin.map(|pin| pin.daemon))?;
        let daemon = Daemon::start_with(own.directory.path(), &options).await;
        self.cpus.enter(pin.map(|pin| pin.clients))?;
        let daemon = daemon?;
        self.address = Address::parse(daemon.uri())?;
        own.daemon = Some(daemon);
        Ok(())
    }

    /// Binds the daemon to a CPU, or removes the binding. Fails for a process of another user.
    pub(crate) fn place(&self, cpu: Option<usize>) -> anyhow::Result<()> {
        let pid = self.pid.context("nobody knows the daemon's process")?;
        self.cpus.enter_process(pid, cpu)
    }

    /// Determines the process that owns the socket.
    async fn find_pid(&self) -> Option<i32> {
        let Address::Unix(path) = &self.address else {
            return None;
        };
        let socket = UnixStream::connect(path).await.ok()?;
        socket.peer_cred().ok()?.pid()
    }

    /// Returns the resident memory of the daemon in bytes; `None` if it is not available.
    pub(crate) fn rss_bytes(&self) -> Option<u64> {
        let kilobytes = self.field("status", "VmRSS:")?;
        Some(kilobytes * 1024)
    }

    /// Returns the number of bytes that the daemon has written to disk so far; `None` if it is not
    /// available, as for a process of another user.
    pub(crate) fn written_bytes(&self) -> Option<u64> {
        self.field("io", "write_bytes:")
    }

    fn field(&self, file: &str, name: &str) -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", self.pid?)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    }
}
