//! `kvs start [--] COMMAND…`: runs one command beside a private daemon on a temporary store.
//!
//! The daemon runs in this process. Store and socket are in a temporary directory of mode 0700,
//! which a guard removes at the end, however this process ends. Returns the command's exit status
//! and forwards signals to the command.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::failure::say;
use super::guard::Guard;
use super::signals::{Signals, status_of};
use crate::output::reason;
use kvs_server::{Daemon, Options};

/// Exit status when the command cannot be run, as in a shell.
const CANNOT_RUN: u8 = 126;

/// Exit status when the command is not found, as in a shell.
const NOT_FOUND: u8 = 127;

/// Added to the signal's number if a signal ended the command, as in a shell.
const SIGNALLED: i32 = 128;

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

/// Runs the command beside a private daemon. Returns the command's exit status.
pub(crate) async fn run(args: StartArgs) -> anyhow::Result<ExitCode> {
    let (program, arguments) = args.command.split_first().context("no command given")?;
    // Before anything is created, so that no signal leaves it behind.
    let mut signals = Signals::catch()?;
    let mut guard = Guard::start().await?;
    let code = beside_a_daemon(&mut guard, program, arguments, &mut signals).await;
    let removed = guard.end().await;
    let code = code?;
    removed?;
    Ok(ExitCode::from(code))
}

async fn beside_a_daemon(
    guard: &mut Guard,
    program: &OsStr,
    arguments: &[OsString],
    signals: &mut Signals,
) -> anyhow::Result<u8> {
    let socket = guard.directory().join("kvs.sock");
    let options = Options {
        temporary: true,
        socket: Some(socket.clone()),
        ..Options::new(guard.directory().join("store"))
    };
    let mut open = std::pin::pin!(Daemon::open(options));
    let daemon = tokio::select! {
        daemon = &mut open => daemon?,
        signal = signals.end() => {
            // Nothing may be created once the directory is being removed.
            if let Ok(daemon) = open.await {
                daemon.stopper().cancel();
                daemon.run().await?;
            }
            return Ok(status_of(signal));
        }
    };
    let stop = daemon.stopper();
    let command = async {
        let uri = format!("unix:{}", socket.display());
        let code = run_command(guard, program, arguments, &uri, signals).await;
        stop.cancel();
        code
    };
    let (served, code) = tokio::join!(daemon.run(), command);
    let code = code?;
    served?;
    Ok(code)
}

/// Runs the command to its end. Returns its exit status.
async fn run_command(
    guard: &mut Guard,
    program: &OsStr,
    arguments: &[OsString],
    uri: &str,
    signals: &mut Signals,
) -> anyhow::Result<u8> {
    let mut child = match Command::new(program)
        .args(arguments)
        .env("KVS_URI", uri)
        .spawn()
    {
        Ok(child) => child,
        Err(error) => {
            say(&format!(
                "{}: {}",
                program.to_string_lossy(),
                reason(&error)
            ));
            let missing = error.kind() == ErrorKind::NotFound;
            return Ok(if missing { NOT_FOUND } else { CANNOT_RUN });
        }
    };
    if let Some(pid) = child.id() {
        guard.watch(pid).await;
    }
    loop {
        tokio::select! {
            status = child.wait() => {
                guard.over().await;
                return Ok(exit_code(status?));
            }
            signal = signals.end() => match signal {
                Signal::INT if in_foreground() => {}
                // A command that does not end on SIGHUP is also sent SIGTERM.
                Signal::HUP => {
                    forward(&child, Signal::HUP);
                    forward(&child, Signal::TERM);
                }
                signal => forward(&child, signal),
            },
        }
    }
}

/// The exit status that a shell would report for the command.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|number| SIGNALLED + number));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}

/// Sends a signal to the command.
fn forward(child: &Child, signal: Signal) {
    let pid = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // The command may have ended; its status is read later.
        let _ = kill_process(pid, signal);
    }
}

/// Whether this process is in the foreground process group of a terminal. Then Ctrl-C has already
/// reached the command, and forwarding would deliver it twice.
fn in_foreground() -> bool {
    std::fs::read_to_string("/proc/self/stat").is_ok_and(|stat| stat_in_foreground(&stat))
}

/// The same, from the text of `/proc/self/stat`: `pid (name) state ppid pgrp session tty tpgid …`.
fn stat_in_foreground(stat: &str) -> bool {
    let fields = stat.rsplit_once(") ").map(|(_, rest)| rest);
    let mut fields = fields.unwrap_or_default().split(' ');
    let group = fields.nth(2);
    let foreground = fields.nth(2);
    group.is_some() && group == foreground
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        assert_eq!(exit_code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(exit_code(ExitStatus::from_raw(15)), 143);
    }

    #[test]
    fn the_foreground_group_is_recognised_whatever_the_name_of_the_process() {
        assert!(stat_in_foreground("9 (a) b) S 1 77 70 34816 77 0"));
        assert!(!stat_in_foreground("9 (a) b) S 1 77 70 34816 78 0"));
        assert!(!stat_in_foreground("9 (a) S 1 77 70 0 -1 0"));
        assert!(!stat_in_foreground(""));
    }
}
