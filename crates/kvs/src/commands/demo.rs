//! `kvs demo`: a job executor and four job status clients synchronise through a real daemon; every
//! transition that a client saw is compared with what the executor wrote.
//!
//! `DemoClientArgs` is the hidden subcommand `kvs demo-client`: the process of one status client.

use std::io::{IsTerminal, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use kvs_client::Address;

use super::signals::{Signals, status_of};
use crate::demo::{self, ClientOptions};
use crate::output::print;
use kvs_bench::remove;

/// Options of `kvs demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// How many jobs the executor runs, each through six states
    #[arg(long, default_value_t = 1000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) jobs: u32,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of the hidden `kvs demo-client`, which only `kvs demo` starts.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoClientArgs {
    /// File in which this client keeps what it saw, and by that its position
    #[arg(long, value_name = "FILE")]
    pub(crate) record: PathBuf,
    /// Fetch little ahead, and pause
    #[arg(long)]
    pub(crate) slow: bool,
    /// Stop after so many transitions and wait to be killed
    #[arg(long, value_name = "N")]
    pub(crate) hold_at: Option<u64>,
}

/// Runs the demo. The exit status is 0 only if nothing was missed, repeated, reordered or drifted.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    // Catching signals keeps this process alive until its directory is removed.
    let mut signals = Signals::catch()?;
    let directory = tempfile::Builder::new().prefix("kvs-demo-").tempdir()?;
    let mut status = 0;
    let report = tokio::select! {
        report = demo::run(directory.path(), args.jobs, stderr().is_terminal()) => report.map(Some),
        signal = signals.end() => {
            // Dropping the run kills its processes.
            status = status_of(signal);
            Ok(None)
        }
    };
    let removed = remove(directory).await;
    let Some(report) = report? else {
        removed?;
        return Ok(ExitCode::from(status));
    };
    if args.json {
        print(&report.json())?;
    } else {
        print(&report.table(stdout().is_terminal()))?;
    }
    removed?;
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs one status client.
pub(crate) async fn run_client(args: DemoClientArgs) -> anyhow::Result<ExitCode> {
    let options = ClientOptions {
        record: args.record,
        slow: args.slow,
        hold_at: args.hold_at,
    };
    demo::run_client(&options, &Address::from_env()?).await?;
    Ok(ExitCode::SUCCESS)
}
