//! `kvs start [--] COMMAND…`: a private daemon on a temporary store for the life of one command.

use std::ffi::OsString;
use std::process::ExitCode;

/// Options of `kvs start`.
#[derive(Debug, clap::Args)]
pub(crate) struct StartArgs {
    /// The command and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    pub(crate) command: Vec<OsString>,
}

/// Runs the command beside a private daemon and returns the command's exit status.
pub(crate) async fn run(_args: StartArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not there yet")
}
