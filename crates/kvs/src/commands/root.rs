//! `kvs getroot`, `kvs version`, `kvs wait`, `kvs sync`: the current root and version of a
//! namespace, and waiting for a version or the disk.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use kvs_client::InfoAnswer;
use serde_json::json;

use super::failure::{About as _, Kind, failed};
use super::interrupt::end_on_interrupt;
use super::options::{Daemon, NamespaceOption, ReadOptions, dirref_json, version};
use crate::output::{Sink, seconds};
use crate::quantity::duration;

/// Options of `kvs getroot`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  root=$(kvs getroot); kvs get --at \"$root\" a.b      read the state of now, later
  kvs getroot -b                                     its blobref")]
pub(crate) struct GetrootArgs {
    #[command(flatten)]
    read: ReadOptions,
    /// Print the user id of the namespace's owner
    #[arg(short, long, conflicts_with_all = ["sequence", "blobref"])]
    owner: bool,
    /// Print the version
    #[arg(short, long, conflicts_with = "blobref")]
    sequence: bool,
    /// Print the blobref of the root
    #[arg(short, long)]
    blobref: bool,
    /// Print all of it as a JSON object
    #[arg(long, conflicts_with_all = ["owner", "sequence", "blobref"])]
    json: bool,
}

/// Options of `kvs version`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvs version           prints 42")]
pub(crate) struct VersionArgs {
    #[command(flatten)]
    read: ReadOptions,
    /// Print it with root, owner and time as a JSON object
    #[arg(long)]
    json: bool,
}

/// Options of `kvs wait`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvs wait 42            returns when version 42 is there
  kvs wait -t 10s 42     or fails after ten seconds")]
pub(crate) struct WaitArgs {
    #[command(flatten)]
    namespace: NamespaceOption,
    /// How long to wait at most, such as 10s or 1.5m; a bare number is seconds
    #[arg(short, long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// The version
    #[arg(value_parser = version)]
    version: u64,
}

/// Options of `kvs sync`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvs sync              of use where the daemon runs with --durability interval or none")]
pub(crate) struct SyncArgs {}

/// Prints the root.
pub(crate) async fn run_getroot(daemon: &Daemon, args: GetrootArgs) -> Result<ExitCode> {
    let (namespace, at) = args.read.target(daemon)?;
    let client = daemon.connect(&namespace).await?;
    let info = client
        .namespace(namespace)
        .info(at)
        .await
        .about("getroot")?;
    let line = if args.json {
        info_json(&info)
    } else if args.owner {
        info.owner.to_string()
    } else if args.sequence {
        info.position.version.to_string()
    } else if args.blobref {
        info.root.to_string()
    } else {
        dirref_json(&info.root)
    };
    print(&line)
}

/// Runs `kvs version`.
pub(crate) async fn run_version(daemon: &Daemon, args: VersionArgs) -> Result<ExitCode> {
    let (namespace, at) = args.read.target(daemon)?;
    let client = daemon.connect(&namespace).await?;
    let info = client
        .namespace(namespace)
        .info(at)
        .await
        .about("version")?;
    if args.json {
        return print(&info_json(&info));
    }
    print(&info.position.version.to_string())
}

/// Runs `kvs wait`.
pub(crate) async fn run_wait(daemon: &Daemon, args: WaitArgs) -> Result<ExitCode> {
    end_on_interrupt();
    let name = args.namespace.name(daemon);
    let client = daemon.connect(&name).await?;
    let namespace = client.namespace(name);
    let reached = namespace.wait(args.version, None);
    match args.timeout {
        None => reached.await.about("wait")?,
        Some(timeout) => match tokio::time::timeout(timeout, reached).await {
            Ok(answer) => answer.about("wait")?,
            Err(_) => {
                let text = format!("wait: timeout: version {} was not reached", args.version);
                return Err(failed(Kind::TimedOut, text));
            }
        },
    };
    Ok(ExitCode::SUCCESS)
}

/// Waits until all commits are on disk.
pub(crate) async fn run_sync(daemon: &Daemon, _args: SyncArgs) -> Result<ExitCode> {
    let client = daemon.connect("primary").await?;
    client.sync().await.about("sync")?;
    Ok(ExitCode::SUCCESS)
}

/// A state of a namespace as JSON.
pub(super) fn info_json(info: &InfoAnswer) -> String {
    json!({
        "namespace": info.namespace,
        "version": info.position.version,
        "root": info.root,
        "snapshot": info.snapshot,
        "owner": info.owner,
        "time": seconds(info.time),
    })
    .to_string()
}

fn print(line: &str) -> Result<ExitCode> {
    let mut sink = Sink::new();
    sink.line(line)?;
    sink.flush()?;
    Ok(ExitCode::SUCCESS)
}
