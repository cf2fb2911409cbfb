//! What can be typed: the verbs and the options common to them, and the way from a parsed command
//! line to the verb's `run`. Usage errors end with exit status 1 like every other error.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "kvs",
    version,
    about,
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    /// Address of the daemon [default: $KVS_URI, else $XDG_RUNTIME_DIR/kvs/kvs.sock, else /run/kvs/kvs.sock]
    #[arg(long, global = true, value_name = "URI")]
    pub(crate) uri: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the daemon
    Serve(commands::serve::ServeArgs),
    /// Run a command beside a private daemon on a temporary store
    Start(commands::start::StartArgs),
    /// Show a job executor and job status clients synchronise
    Demo(commands::demo::DemoArgs),
    #[command(hide = true)]
    DemoClient(commands::demo::DemoClientArgs),
}

/// Parses the arguments of the process; on `--help`, `--version` and mistakes prints what is due
/// and gives the exit status.
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        let asked = !error.use_stderr();
        let printed = error.print();
        if asked && printed.is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    })
}

/// Runs the verb on a runtime that suits it.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let runtime = match &cli.command {
        // The daemon's runtime.
        Command::Serve(_) | Command::Start(_) | Command::Demo(_) => {
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?
        }
        // A client does one thing at a time, and starting no threads makes it start sooner.
        _ => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?,
    };
    runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => commands::serve::run(args).await,
            Command::Start(args) => commands::start::run(args).await,
            Command::Demo(args) => commands::demo::run(args).await,
            Command::DemoClient(args) => commands::demo::run_client(args).await,
        }
    })
}
