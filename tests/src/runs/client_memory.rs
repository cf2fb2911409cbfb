//! Measures the memory of commands that print a long value, or a version with very many changed
//! keys: they stream, so their memory is independent of the size.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::ensure;
use kvs_client::{Namespace, Transaction};

use crate::measuring::report::Report;
use crate::measuring::rss_sampler::Streamed;
use kvs_testkit::Home;

/// Maximum memory of a command in MiB.
const TARGET_MIB: f64 = 64.0;

/// Size of an uploaded piece of the value in bytes.
const PIECE_BYTES: usize = 1024 * 1024;

/// Commands that print the value at `d.big`, with their names in the report.
const VERBS: [(&str, &[&str]); 9] = [
    ("get", &["get", "d.big"]),
    ("get_json", &["get", "--json", "d.big"]),
    ("get_watch", &["get", "-w", "-c", "1", "d.big"]),
    ("get_append", &["get", "-w", "-A", "-c", "1", "d.big"]),
    ("dir", &["dir", "-w", "0", "d"]),
    ("dir_json", &["dir", "--json", "d"]),
    (
        "watch",
        &["watch", "--from", "initial", "--count", "1", "d.big"],
    ),
    (
        "watch_json",
        &[
            "watch", "--json", "--from", "initial", "--count", "1", "d.big",
        ],
    ),
    (
        "watch_exec",
        &[
            "watch", "--exec", "cat", "--from", "initial", "--count", "1", "d.big",
        ],
    ),
];

/// Parameters of the run.
#[derive(Clone, Debug)]
pub struct ClientMemory {
    /// Size of the value in MiB.
    pub mib: u64,
    /// Number of doublings n; the version removes 2^(n+1) keys.
    pub doublings: u32,
    /// Directory of the store.
    pub directory: PathBuf,
}

impl ClientMemory {
    /// Performs the run.
    ///
    /// # Errors
    /// If a command fails, or prints less than expected.
    pub async fn run(&self) -> anyhow::Result<Report> {
        let home = Home::in_directory(&self.directory)?;
        let daemon = home.start_with(&["--durability", "none"])?;
        let client = daemon.connect().await?;
        let primary = client.namespace("primary");
        self.put_value(&primary).await?;
        let about = format!(
            "most resident memory of commands that print a value of {} MiB, and a version that removed 2^{} keys and as many directories",
            self.mib,
            self.doublings + 1
        );
        let mut report = Report::new("client-memory", about);
        let mut most = 0.0_f64;
        for (name, arguments) in VERBS {
            let peak = peak(home.client(arguments)?, self.mib * 1024 * 1024).await?;
            report.figure(format!("{name}_mib"), peak);
            most = most.max(peak);
        }
        let version = self.remove_tree(&primary).await?.to_string();
        let watch = ["watch", "--from", &version, "--count", "1", "t"];
        let keys = 2_u64 << self.doublings;
        for (name, more) in [
            ("version", &[][..]),
            ("version_json", &["--json"]),
            ("version_exec", &["--exec", "cat"]),
        ] {
            let command = home.client(&[&watch, more].concat())?;
            let peak = peak(command, keys * 20).await?;
            report.figure(format!("{name}_mib"), peak);
            most = most.max(peak);
        }
        report.at_most("memory_mib", most, TARGET_MIB);
        report.held("each command printed all of it");
        Ok(report)
    }

    async fn put_value(&self, primary: &Namespace) -> anyhow::Result<()> {
        let line = format!("{}\n", "kvs ".repeat(255));
        let piece: Vec<u8> = line.bytes().cycle().take(PIECE_BYTES).collect();
        let mut upload = primary.upload().await?;
        for _ in 0..self.mib {
            upload.write(piece.clone()).await?;
        }
        let uploaded = upload.finish().await?;
        let put = Transaction::new().put_upload("d.big", uploaded);
        primary.commit(put).await?;
        Ok(())
    }

    /// Creates a tree by copying and removes it; returns the version that removed it.
    async fn remove_tree(&self, primary: &Namespace) -> anyhow::Result<u64> {
        let two = Transaction::new().put("t.a", "1").put("t.b", "2");
        primary.commit(two).await?;
        for _ in 0..self.doublings {
            let doubled = Transaction::new()
                .mkdir("n")
                .copy("t", "n.y")
                .rename("t", "n.x")
                .rename("n", "t");
            primary.commit(doubled).await?;
        }
        let removed = primary.commit(Transaction::new().unlink("t")).await?;
        Ok(removed.position.version)
    }
}

/// Runs a command that must print at least `least` bytes; returns its peak memory in MiB.
async fn peak(mut command: Command, least: u64) -> anyhow::Result<f64> {
    let run = move || {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let (peak, printed) = Streamed::spawn(&mut command)?.bytes()?;
        ensure!(printed >= least, "{printed} bytes of {least} were printed");
        Ok(peak as f64 / 1024.0)
    };
    tokio::task::spawn_blocking(run).await?
}
