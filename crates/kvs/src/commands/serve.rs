//! `kvs serve`: the daemon. Reads its options, opens the store, binds the socket, says that it is
//! ready, and runs until a signal ends it. The work is in `server`; this file is its command line.

use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `kvs serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Directory of the store [default: $XDG_STATE_HOME/kvs/store, else ~/.local/state/kvs/store]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
}

/// Runs the daemon until SIGTERM or SIGINT.
pub(crate) async fn run(_args: ServeArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not there yet")
}
