//! `kvs serve`: the daemon's command line. Reads the options, opens the store, binds the socket,
//! reports readiness, and runs until a signal. The daemon itself is in `kvs-server`.

use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use kvs_client::Address;
use kvs_server::{Access, Daemon, DaemonError, Descriptors, Durability, Options, READY};
use kvs_tree::HashAlgorithm;
use nix::unistd::Group;
use rustix::fs::Mode;
use sd_notify::NotifyState;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tracing::level_filters::LevelFilter;

use super::failure::{say, without_numbers};
use super::signals::{Signals, status_of};
use crate::limits::{BUSY_POLL_MOST, SERVE_THREADS};
use crate::output::complain;
use crate::quantity::{duration, size};

/// Options of `kvs serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Directory of the store [default: $XDG_STATE_HOME/kvs/store, else ~/.local/state/kvs/store]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// Address to serve on [default: $KVS_URI, else $XDG_RUNTIME_DIR/kvs/kvs.sock, else
    /// /run/kvs/kvs.sock]
    #[arg(long, value_name = "URI")]
    pub(crate) uri: Option<String>,
    /// When a commit is answered: `commit` after it is synced to disk, `interval` before a sync
    /// every second, `none` without syncs; the last two may lose acknowledged commits in a power
    /// cut
    #[arg(long, value_name = "commit|interval|none", default_value = "commit")]
    pub(crate) durability: Durability,
    /// Hash of a store that is made now: blake3 (default) or sha1; an existing store keeps its own
    #[arg(long, value_name = "blake3|sha1")]
    pub(crate) hash: Option<HashAlgorithm>,
    /// Versions of each namespace that are kept at least, as far as --retain-bytes allows
    /// [default: 1000000]
    #[arg(long, value_name = "N")]
    pub(crate) retain_versions: Option<u64>,
    /// Time for which versions are kept at least, such as 90s, 1.5h or 7d, as far as --retain-bytes
    /// allows [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) retain_time: Option<Duration>,
    /// Bytes of journal that are kept at most, such as 512M or 1.5G; wins over the other two. Packs
    /// are not bounded by it: space of overwritten and removed values is not given back yet
    /// [default: 1G]
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub(crate) retain_bytes: Option<u64>,
    /// What is logged to standard error: off, error, warn, info (starts, stops, checkpoints,
    /// refusals), debug or trace [default: $RUST_LOG if that is one of them, else info]
    #[arg(long, value_name = "LEVEL", value_parser = log_level)]
    pub(crate) log: Option<LevelFilter>,
    /// Threads that serve connections: with one, what follows each other needs no waking of
    /// another; more are for many clients that read at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=SERVE_THREADS))]
    pub(crate) threads: u16,
    /// Wait awake for so long, in us or ms, while requests follow each other closely; 0: never
    /// [default: 200us]
    #[arg(long, value_name = "TIME", value_parser = busy_poll)]
    pub(crate) busy_poll: Option<Duration>,
    /// Let other users connect; each reaches the namespaces that it owns or that are shared with it
    #[arg(long)]
    pub(crate) allow_guests: bool,
    /// Let the members of that group connect (a name or number), instead of all users
    #[arg(long, value_name = "GROUP", value_parser = group)]
    pub(crate) guest_group: Option<u32>,
    /// Bytes a second that each guest may write to disk; what is more waits [default: 8M]
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub(crate) guest_rate: Option<u64>,
    /// End also when standard input, a pipe, is closed at its other end: with the process that
    /// started the daemon, however that ends
    #[arg(long)]
    pub(crate) until_eof: bool,
}

/// Runs the daemon until a signal ends it.
pub(crate) async fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let ended = match Signals::catch() {
        Ok(signals) => serve(args, signals).await,
        Err(error) => Err(DaemonError::system("cannot catch signals", &error)),
    };
    Ok(match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&without_numbers(&error.to_string()));
            ExitCode::from(error.status)
        }
    })
}

/// Reports that the system refuses the threads that a daemon needs.
pub(crate) fn no_threads(error: &std::io::Error) -> ExitCode {
    let error = DaemonError::system("cannot start the threads that serve connections", error);
    say(&without_numbers(&error.to_string()));
    ExitCode::from(error.status)
}

async fn serve(args: ServeArgs, signals: Signals) -> Result<(), DaemonError> {
    start_log(args.log);
    // Nothing that the daemon creates is accessible to others: neither the socket before its mode
    // is set nor any file of the store.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let address = match &args.uri {
        Some(uri) => Address::parse(uri),
        None => Address::from_env(),
    };
    let address = address.map_err(|error| DaemonError::usage(error.message))?;
    let Address::Unix(socket) = &address else {
        let message = format!("{address}: not the address of a unix socket");
        return Err(DaemonError::usage(message));
    };
    let options = options(&args, socket.clone())?;
    let input = args.until_eof.then(input).transpose()?;
    let mut end = EndRequests { signals, input };
    let daemon = tokio::select! {
        daemon = Daemon::open(options) => daemon?,
        // An open that is interrupted leaves a valid store, as after a crash.
        _ = end.next() => return Ok(()),
    };
    let stop = daemon.stopper();
    tokio::spawn(async move {
        let by_signal = end.next().await;
        notify(NotifyState::Stopping);
        stop.cancel();
        // Closing our standard input may be followed by a signal.
        if !by_signal {
            end.signals.end().await;
        }
        // The second signal ends the process at once.
        let again = end.signals.end().await;
        std::process::exit(status_of(again).into());
    });
    complain(&format!("{READY}{address}"));
    notify(NotifyState::Ready);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "serving on {address}");
    daemon.run().await?;
    tracing::info!("stopped; the store is closed");
    Ok(())
}

/// Sources of requests to end.
struct EndRequests {
    signals: Signals,
    /// Standard input, if its end is one.
    input: Option<pipe::Receiver>,
}

impl EndRequests {
    /// Waits for the next request. Returns whether it is a signal.
    async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.signals.end() => true,
            () = end_of(&mut self.input) => false,
        }
    }
}

/// Waits until the write end of a pipe is closed; input is discarded.
async fn end_of(input: &mut Option<pipe::Receiver>) {
    let Some(pipe) = input else {
        return std::future::pending().await;
    };
    let mut ignored = [0; 512];
    while pipe.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
    *input = None;
}

/// Standard input, which must be a pipe.
fn input() -> Result<pipe::Receiver, DaemonError> {
    let input = std::io::stdin().as_fd().try_clone_to_owned();
    let input = input.and_then(pipe::Receiver::from_owned_fd);
    input.map_err(|error| {
        let message = format!("--until-eof: cannot wait for the end of standard input: {error}");
        DaemonError::usage(message)
    })
}

/// Notifies the service manager, if there is one.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}

/// Starts logging to standard error, at the level of `--log`, else `$RUST_LOG` if it is a level,
/// else `info`.
fn start_log(level: Option<LevelFilter>) {
    let variable = || log_level(&std::env::var("RUST_LOG").ok()?).ok();
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        // Otherwise logging panics when standard error is closed.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_max_level(level.or_else(variable).unwrap_or(LevelFilter::INFO));
    // Fails only if logging has been started before.
    let _ = log.try_init();
}

/// Converts the arguments to options of the daemon.
fn options(args: &ServeArgs, socket: PathBuf) -> Result<Options, DaemonError> {
    let store = match &args.store {
        Some(store) => store.clone(),
        None => default_store(std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME"))?,
    };
    let mut options = Options::new(store);
    options.socket = Some(socket);
    options.descriptors = Descriptors::raise();
    let engine = &mut options.engine;
    engine.durability = args.durability;
    engine.algorithm = args.hash;
    if let Some(busy_poll) = args.busy_poll {
        engine.busy_poll = busy_poll;
    }
    if let Some(versions) = args.retain_versions {
        engine.retention.versions = versions;
    }
    if let Some(time) = args.retain_time {
        engine.retention.time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    }
    if let Some(bytes) = args.retain_bytes {
        engine.retention.bytes = bytes;
    }
    if let Some(rate) = args.guest_rate {
        options.guest_rate = rate;
    }
    options.access = match (args.guest_group, args.allow_guests) {
        (Some(group), _) => Access::Group(group),
        (None, true) => Access::Everybody,
        (None, false) => Access::Owner,
    };
    Ok(options)
}

/// Parses a log level.
fn log_level(text: &str) -> Result<LevelFilter, String> {
    Ok(match text {
        "off" => LevelFilter::OFF,
        "error" => LevelFilter::ERROR,
        "warn" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => return Err("not off, error, warn, info, debug or trace".to_owned()),
    })
}

/// Parses a group: its number, or its name in the system's group database.
fn group(text: &str) -> Result<u32, String> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    match Group::from_name(text) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err("there is no such group".to_owned()),
        Err(error) => Err(format!("cannot look the group up: {}", error.desc())),
    }
}

/// The default store. Empty variables count as unset.
fn default_store(
    state: Option<std::ffi::OsString>,
    home: Option<std::ffi::OsString>,
) -> Result<PathBuf, DaemonError> {
    let set = |variable: Option<std::ffi::OsString>| variable.filter(|value| !value.is_empty());
    let state = match (set(state), set(home)) {
        (Some(state), _) => PathBuf::from(state),
        (None, Some(home)) => PathBuf::from(home).join(".local/state"),
        (None, None) => {
            return Err(DaemonError::usage(
                "neither XDG_STATE_HOME nor HOME is set; give --store",
            ));
        }
    };
    Ok(state.join("kvs/store"))
}

/// Parses the time of `--busy-poll`.
fn busy_poll(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time > BUSY_POLL_MOST {
        let most = BUSY_POLL_MOST.as_millis();
        return Err(format!("longer than {most} ms; give a time such as 200us"));
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use clap::Args as _;
    use kvs_server::engine_limits::{BUSY_POLL, RETAIN_BYTES, RETAIN_MS, RETAIN_VERSIONS};

    use super::*;

    #[test]
    fn threads_stay_awake_for_a_short_time_or_never() {
        assert_eq!(busy_poll("0"), Ok(Duration::ZERO));
        assert_eq!(busy_poll("0.005"), Ok(Duration::from_millis(5)));
        assert_eq!(busy_poll("50us"), Ok(Duration::from_micros(50)));
        assert_eq!(busy_poll("10ms"), Ok(BUSY_POLL_MOST));
        for wrong in ["", "7", "10001us", "11ms", "1s", "us", "-1us", "1 ms"] {
            assert!(busy_poll(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_defaults_that_the_help_tells_are_those_of_the_engine() {
        let help = ServeArgs::augment_args(clap::Command::new("serve"))
            .render_long_help()
            .to_string();
        for (text, is) in [
            ("1000000", RETAIN_VERSIONS == 1_000_000),
            ("1h", duration("1h") == Ok(Duration::from_millis(RETAIN_MS))),
            ("1G", size("1G") == Ok(RETAIN_BYTES)),
            ("200us", duration("200us") == Ok(BUSY_POLL)),
        ] {
            assert!(
                is && help.contains(&format!("[default: {text}]")),
                "{text}: {help}"
            );
        }
    }

    #[test]
    fn levels_of_the_log_have_names() {
        assert_eq!(log_level("warn"), Ok(LevelFilter::WARN));
        for wrong in ["", "INFO", "kvs=debug", "3", "verbose"] {
            assert!(log_level(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn groups_have_names_and_numbers() {
        assert_eq!(group("7"), Ok(7));
        assert_eq!(group("root"), Ok(0));
        for none in ["no such group", "", "-1", "4294967296", "a\0b"] {
            assert!(group(none).is_err(), "{none:?}");
        }
    }

    #[test]
    fn the_store_is_under_the_state_directory() {
        let store = |state: &str, home: &str| default_store(Some(state.into()), Some(home.into()));
        assert_eq!(store("/s", "/h").unwrap(), PathBuf::from("/s/kvs/store"));
        assert_eq!(
            store("", "/h").unwrap(),
            PathBuf::from("/h/.local/state/kvs/store")
        );
        assert!(store("", "").is_err());
    }
}
