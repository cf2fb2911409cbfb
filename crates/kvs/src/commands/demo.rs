//! `kvs demo`: a job executor and four job status clients synchronise through a real daemon, and
//! every transition that each client saw is compared with what the executor wrote.
//!
//! `DemoClientArgs` is the hidden subcommand `kvs demo-client`: the process of one status client.

use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `kvs demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// How many jobs the executor runs, each through six states
    #[arg(long, default_value_t = 1000, value_name = "N")]
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
}

/// Runs the demo. Exit status 0 only if nothing was missed, repeated, reordered or adrift.
pub(crate) async fn run(_args: DemoArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not there yet")
}

/// Runs one status client.
pub(crate) async fn run_client(_args: DemoClientArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not there yet")
}
