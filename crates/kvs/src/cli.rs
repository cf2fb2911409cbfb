//! The command line: the verbs, their common options, and dispatch from a parsed command line to
//! the verb's `run`. Usage errors exit with status 2.
//!
//! Commands that kvs only runs itself have a separate parser, so they are neither suggested nor
//! completed.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::commands;
use crate::output::OutputError;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "kvs",
    version,
    about,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    after_help = "`kvs help VERB` tells more of a verb, `kvs man VERB` all of it, with exit statuses."
)]
pub(crate) struct Cli {
    /// Address of the daemon [default: $KVS_URI, else $XDG_RUNTIME_DIR/kvs/kvs.sock, then
    /// /run/kvs/kvs.sock]
    #[arg(long, global = true, value_name = "URI")]
    pub(crate) uri: Option<String>,
    /// Namespace of verbs that are given none [default: $KVS_NAMESPACE, else $FLUX_KVS_NAMESPACE,
    /// else primary]
    #[arg(short = 'N', long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
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
    /// Print how the daemon is: connections, sizes, times
    Status(commands::status::StatusArgs),
    /// Make, remove and list namespaces
    Namespace(commands::namespace::NamespaceArgs),
    /// Run the daemon
    #[command(after_help = "\
The space of values that are overwritten or removed is not given back: once a checkpoint has written
them to a pack they stay on the disk. --retain-bytes bounds the journal alone.

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
    /// Print the completions of a shell
    Completions(commands::completions::CompletionsArgs),
    /// Print manual pages
    Man(commands::completions::ManArgs),
    /// Print the help of a verb
    #[command(after_help = "\
Examples:
  kvs help                    every verb
  kvs help put                what kvs put --help prints
  kvs help eventlog get       that of a verb of a verb")]
    Help(commands::completions::HelpArgs),
}

/// What kvs runs itself as: the other side of `kvs bench`, the clients of `kvs demo`, the guard of
/// `kvs start`.
#[derive(Debug, Parser)]
#[command(name = "kvs")]
pub(crate) struct Internal {
    #[command(subcommand)]
    command: InternalCommand,
}

#[derive(Debug, Subcommand)]
enum InternalCommand {
    BenchPeer(commands::bench::BenchPeerArgs),
    DemoClient(commands::demo::DemoClientArgs),
    StartGuard,
}

/// Verbs of [`Internal`].
const INTERNAL: [&str; 3] = ["bench-peer", "demo-client", "start-guard"];

/// A parsed command line.
#[derive(Debug)]
pub(crate) enum Typed {
    /// Typed by a person or a script.
    Verb(Cli),
    /// Run by kvs itself.
    Internal(Internal),
}

/// Verbs of other programs, and the kvs verb that does the same.
const HINTS: [(&str, &str); 29] = [
    ("set", "put"),
    ("store", "put"),
    ("write", "put"),
    ("append", "put -A"),
    ("rm", "unlink"),
    ("del", "unlink"),
    ("delete", "unlink"),
    ("remove", "unlink"),
    ("unset", "unlink"),
    ("rmdir", "unlink"),
    ("exists", "get KEY >/dev/null"),
    ("has", "get KEY >/dev/null"),
    ("cat", "get"),
    ("read", "get"),
    ("show", "get"),
    ("print", "get"),
    ("list", "ls"),
    ("tree", "dir -R"),
    ("keys", "dir -Rd"),
    ("find", "ls 'PATTERN'"),
    ("cp", "copy"),
    ("mv", "move"),
    ("rename", "move"),
    ("ln", "link"),
    ("symlink", "link"),
    ("history", "log"),
    ("follow", "watch"),
    ("daemon", "serve"),
    ("info", "status"),
];

/// Parses the arguments of the process. For `--help`, `--version` and usage errors, prints the text
/// and returns the exit status.
pub(crate) fn parse() -> Result<Typed, ExitCode> {
    let arguments = arguments();
    let verb = arguments.get(1).and_then(|verb| verb.to_str());
    let parsed = if verb.is_some_and(|verb| INTERNAL.contains(&verb)) {
        Internal::try_parse_from(&arguments).map(Typed::Internal)
    } else {
        Cli::try_parse_from(&arguments).map(Typed::Verb)
    };
    parsed.map_err(|error| {
        if !error.use_stderr() {
            let printed = error.print().map_err(OutputError::from);
            return match printed {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => commands::report(&error.into()),
            };
        }
        // Usage errors look like all others, followed by the usage.
        let text = explain(&error, &arguments);
        commands::report(&commands::usage(text.trim_end()))
    })
}

/// The text of a usage error.
fn explain(error: &clap::Error, arguments: &[OsString]) -> String {
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let verb = match error.get(ContextKind::InvalidSubcommand) {
                Some(ContextValue::String(verb)) => verb.as_str(),
                _ => "",
            };
            if let Some((_, here)) = HINTS.iter().find(|(other, _)| *other == verb) {
                return format!(
                    "there is no verb '{verb}'; that is `kvs {here}`\n\nFor more information, try 'kvs help'."
                );
            }
        }
        ErrorKind::InvalidUtf8 => {
            let bad = arguments
                .iter()
                .find(|argument| argument.to_str().is_none());
            if let Some(bad) = bad {
                let (verb, bad) = (arguments.get(1), bad.to_string_lossy());
                let verb = verb.map(|verb| verb.to_string_lossy()).unwrap_or_default();
                return format!(
                    "{verb}: Invalid argument: '{bad}' is not UTF-8, as keys and options are\n\n\
                     For more information, try '--help'."
                );
            }
        }
        _ => {}
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    // Replace the standard library's messages about numbers.
    text.replace(": invalid digit found in string", ": not a whole number")
        .replace(
            ": cannot parse integer from empty string",
            ": not a whole number",
        )
        .replace(
            ": number too large to fit in target type",
            ": too large a number",
        )
}

/// The arguments of the process. As in Flux, the optional value of `-L` may follow it directly;
/// clap requires a `=`, or it would take the next argument for the value.
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

/// Runs the verb on a runtime with as many threads as it needs.
pub(crate) fn run(typed: Typed) -> anyhow::Result<ExitCode> {
    let cli = match typed {
        Typed::Verb(cli) => cli,
        Typed::Internal(Internal { command }) => return run_internal(command),
    };
    let runtime = match &cli.command {
        Command::Serve(args) => match with_threads(args.threads) {
            Ok(runtime) => runtime,
            Err(error) => return Ok(commands::serve::no_threads(&error)),
        },
        Command::Start(_) | Command::Demo(_) => with_threads(1)?,
        // A value that may be long is received while its beginning is written.
        Command::Get(args) if args.may_be_long() => with_threads(1)?,
        // All other clients do one thing at a time and start faster without threads.
        _ => without_threads()?,
    };
    let ended = runtime.block_on(dispatch(cli));
    // Threads that still block, for example in a read of standard input, do not delay the exit.
    runtime.shutdown_background();
    ended
}

/// Checks that the system allows this process `threads` more threads; a runtime panics if not.
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

/// Runs a command that kvs runs itself.
fn run_internal(command: InternalCommand) -> anyhow::Result<ExitCode> {
    match command {
        InternalCommand::BenchPeer(args) => {
            with_threads(1)?.block_on(commands::bench::run_peer(args))
        }
        InternalCommand::DemoClient(args) => {
            without_threads()?.block_on(commands::demo::run_client(args))
        }
        InternalCommand::StartGuard => {
            // The guard awaits nothing, but catching signals needs a runtime.
            let runtime = without_threads()?;
            let _entered = runtime.enter();
            commands::guard::run()
        }
    }
}

/// A runtime on the calling thread.
fn without_threads() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// A runtime with `threads` worker threads.
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
        Command::Status(args) => commands::status::run(&daemon, args).await,
        Command::Serve(args) => commands::serve::run(args).await,
        Command::Start(args) => commands::start::run(args).await,
        Command::Demo(args) => commands::demo::run(args).await,
        Command::Bench(args) => commands::bench::run(&daemon, args).await,
        Command::Completions(args) => commands::completions::run(Cli::command(), &args),
        Command::Man(args) => commands::completions::run_man(Cli::command(), &args),
        Command::Help(args) => commands::completions::run_help(Cli::command(), &args),
    }
}
