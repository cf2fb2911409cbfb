//! What can be typed: the verbs and the options common to them, and the way from a parsed command
//! line to the verb's `run`. Usage errors end with exit status 1 like every other error.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::commands;
use crate::output::complain;

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
    /// Namespace of verbs that are given none [default: $KVS_NAMESPACE, else $FLUX_KVS_NAMESPACE, else primary]
    #[arg(short = 'N', long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Put values
    Put(commands::put::PutArgs),
    /// Print values, or follow them
    Get(commands::get::GetArgs),
    /// List names
    Ls(commands::ls::LsArgs),
    /// List keys with their values
    Dir(commands::dir::DirArgs),
    /// Make empty directories
    Mkdir(commands::mkdir::MkdirArgs),
    /// Remove keys
    Unlink(commands::unlink::UnlinkArgs),
    /// Make a symbolic link
    Link(commands::link::LinkArgs),
    /// Print where links lead
    Readlink(commands::link::ReadlinkArgs),
    /// Copy a key, or a directory with all that is in it
    Copy(commands::copy::CopyArgs),
    /// Move a key, or a directory with all that is in it
    Move(commands::copy::MoveArgs),
    /// Commit a transaction that is written down
    Txn(commands::txn::TxnArgs),
    /// Print the root
    Getroot(commands::root::GetrootArgs),
    /// Print the version
    Version(commands::root::VersionArgs),
    /// Wait for a version
    Wait(commands::root::WaitArgs),
    /// Return when all that was committed is on disk
    Sync(commands::root::SyncArgs),
    /// Print a reference to a state, or pin one
    Snapshot(commands::snapshot::SnapshotArgs),
    /// Print every version that touches a scope, as it comes
    Watch(commands::watch::WatchArgs),
    /// Print every move of a root, as it comes
    Setroot(commands::setroot::SetrootArgs),
    /// Print the versions that are retained
    Log(commands::log::LogArgs),
    /// Append to eventlogs, print them, wait for an event
    Eventlog(commands::eventlog::EventlogArgs),
    /// Make, remove and list namespaces
    Namespace(commands::namespace::NamespaceArgs),
    /// Run the daemon
    #[command(after_help = "\
Examples:
  kvs serve                                              on the usual store and address
  kvs --uri unix:/tmp/kvs.sock serve --store /tmp/kvs    on others")]
    Serve(commands::serve::ServeArgs),
    /// Run a command beside a private daemon on a temporary store
    #[command(after_help = "\
Examples:
  kvs start -- sh -c 'kvs put a=1; kvs get a'      a script, with the script's exit status
  kvs start bash                                   a shell to try things in")]
    Start(commands::start::StartArgs),
    /// Show a job executor and job status clients synchronise
    #[command(after_help = "\
Examples:
  kvs demo                      1,000 jobs, four clients, a table of what each saw
  kvs demo --jobs 50 --json     50 jobs, the table as one JSON object")]
    Demo(commands::demo::DemoArgs),
    /// Measure a daemon, and beside it what the machine could do
    #[command(after_help = "\
Examples:
  kvs bench put                                            one put at a time, own daemon
  kvs bench put --in-flight 128 --seconds 5 --json         pipelined, one JSON object
  kvs bench all                                            every workload
  kvs --uri unix:/run/kvs/kvs.sock bench get --clients 4   a running daemon
  kvs bench get --pin 0,1                                  daemon on CPU 0, load on CPU 1")]
    Bench(commands::bench::BenchArgs),
    #[command(hide = true)]
    BenchPeer(commands::bench::BenchPeerArgs),
    /// Print the completions of a shell
    Completions(commands::completions::CompletionsArgs),
    /// Print manual pages
    Man(commands::completions::ManArgs),
    #[command(hide = true)]
    DemoClient(commands::demo::DemoClientArgs),
}

/// Parses the arguments of the process; on `--help`, `--version` and mistakes prints what is due
/// and gives the exit status.
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse_from(arguments()).map_err(|error| {
        if !error.use_stderr() {
            let printed = error.print();
            return if printed.is_ok() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            };
        }
        // Usage errors look like all others, with the usage behind.
        let text = error.render().to_string();
        let text = text
            .strip_prefix("error: ")
            .map_or(text.clone(), |rest| format!("kvs: {rest}"));
        complain(text.trim_end_matches('\n'));
        ExitCode::FAILURE
    })
}

/// The arguments of the process. The optional value of `-L` may stand right behind it, as Flux takes
/// it; clap wants a `=` there, or it would take the next argument for the value.
fn arguments() -> Vec<OsString> {
    let with_colors = std::env::args_os().any(|argument| argument == "eventlog");
    let spelled = |argument: OsString| match argument.to_str() {
        Some("-Lalways") if with_colors => "-L=always".into(),
        Some("-Lauto") if with_colors => "-L=auto".into(),
        Some("-Lnever") if with_colors => "-L=never".into(),
        _ => argument,
    };
    std::env::args_os().map(spelled).collect()
}

/// Runs the verb on a runtime that suits it.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let runtime = match &cli.command {
        Command::Serve(args) => match with_threads(args.threads) {
            Ok(runtime) => runtime,
            Err(error) => return Ok(commands::serve::no_threads(&error)),
        },
        Command::Start(_) | Command::Demo(_) | Command::BenchPeer(_) => with_threads(1)?,
        // What may be a long value is received while what came before is written.
        Command::Get(args) if args.may_be_long() => with_threads(1)?,
        // Any other client does one thing at a time, and starting no threads makes it start sooner.
        _ => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?,
    };
    let ended = runtime.block_on(dispatch(cli));
    // What still blocks a thread, such as reading standard input, does not keep the process.
    runtime.shutdown_background();
    ended
}

/// Whether the system lets this process have so many threads; a runtime panics if not.
fn try_threads(threads: u16) -> std::io::Result<()> {
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Arc::new(std::sync::Mutex::new(held));
    let tries: Vec<_> = (0..threads)
        .map(|_| {
            let held = held.clone();
            let wait = move || held.lock().map(|held| held.recv().is_ok()).is_ok();
            std::thread::Builder::new().spawn(wait)
        })
        .collect();
    drop(hold);
    for thread in tries {
        let _ = thread?.join();
    }
    Ok(())
}

/// A runtime whose tasks are on so many threads of their own.
fn with_threads(threads: u16) -> std::io::Result<Runtime> {
    try_threads(threads)?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(usize::from(threads))
        .enable_all()
        .build()
}

async fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let daemon = commands::Daemon::new(cli.uri, cli.namespace);
    match cli.command {
        Command::Put(args) => commands::put::run(&daemon, args).await,
        Command::Get(args) => commands::get::run(&daemon, args).await,
        Command::Ls(args) => commands::ls::run(&daemon, args).await,
        Command::Dir(args) => commands::dir::run(&daemon, args).await,
        Command::Mkdir(args) => commands::mkdir::run(&daemon, args).await,
        Command::Unlink(args) => commands::unlink::run(&daemon, args).await,
        Command::Link(args) => commands::link::run(&daemon, args).await,
        Command::Readlink(args) => commands::link::run_readlink(&daemon, args).await,
        Command::Copy(args) => commands::copy::run(&daemon, args).await,
        Command::Move(args) => commands::copy::run_move(&daemon, args).await,
        Command::Txn(args) => commands::txn::run(&daemon, args).await,
        Command::Getroot(args) => commands::root::run_getroot(&daemon, args).await,
        Command::Version(args) => commands::root::run_version(&daemon, args).await,
        Command::Wait(args) => commands::root::run_wait(&daemon, args).await,
        Command::Sync(args) => commands::root::run_sync(&daemon, args).await,
        Command::Snapshot(args) => commands::snapshot::run(&daemon, args).await,
        Command::Watch(args) => commands::watch::run(&daemon, args).await,
        Command::Setroot(args) => commands::setroot::run(&daemon, args).await,
        Command::Log(args) => commands::log::run(&daemon, args).await,
        Command::Eventlog(args) => commands::eventlog::run(&daemon, args).await,
        Command::Namespace(args) => commands::namespace::run(&daemon, args).await,
        Command::Serve(args) => commands::serve::run(args).await,
        Command::Start(args) => commands::start::run(args).await,
        Command::Demo(args) => commands::demo::run(args).await,
        Command::Bench(args) => commands::bench::run(&daemon, args).await,
        Command::BenchPeer(args) => commands::bench::run_peer(args).await,
        Command::Completions(args) => commands::completions::run(Cli::command(), &args),
        Command::Man(args) => commands::completions::run_man(Cli::command(), &args),
        Command::DemoClient(args) => commands::demo::run_client(args).await,
    }
}
