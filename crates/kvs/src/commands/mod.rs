//! One file a verb: its options (a `clap::Args` structure) and `run`.

pub(crate) mod demo;
pub(crate) mod serve;
pub(crate) mod start;

use std::process::ExitCode;

/// Prints an error that ended a command and gives the exit status for it.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if let Some(io) = error.downcast_ref::<std::io::Error>()
        && io.kind() == std::io::ErrorKind::BrokenPipe
    {
        return ExitCode::from(141);
    }
    anstream::eprintln!("kvs: {error:#}");
    ExitCode::FAILURE
}
