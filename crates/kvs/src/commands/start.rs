//! `kvs start [--] COMMAND…`: a private daemon on a temporary store for the life of one command.
//!
//! The daemon runs in this process; store and socket are in a temporary directory of mode 0700,
//! which is removed at the end. The command's exit status is ours; signals that are meant for the
//! command reach it.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::failure::say;
use crate::output::reason;
use crate::server::{Daemon, Options};

/// Exit status when the command cannot be run, as in a shell.
const CANNOT_RUN: u8 = 126;

/// Exit status when the command is not found, as in a shell.
const NOT_FOUND: u8 = 127;

/// Added to a signal's number when a signal ended the command, as in a shell.
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

/// Runs the command beside a private daemon and returns the command's exit status.
pub(crate) async fn run(args: StartArgs) -> anyhow::Result<ExitCode> {
    let (program, arguments) = args.command.split_first().context("no command given")?;
    let directory = tempfile::Builder::new().prefix("kvs-start-").tempdir()?;
    let socket = directory.path().join("kvs.sock");
    let options = Options {
        temporary: true,
        ..Options::new(directory.path().join("store"), socket.clone())
    };
    let daemon = Daemon::open(options).await?;
    let stop = daemon.stopper();
    let command = async {
        let uri = format!("unix:{}", socket.display());
        let code = run_command(program, arguments, &uri).await;
        stop.cancel();
        code
    };
    let (served, code) = tokio::join!(daemon.run(), command);
    let code = code?;
    served?;
    directory.close()?;
    Ok(ExitCode::from(code))
}

/// Runs the command to its end and gives the exit status that stands for it.
async fn run_command(program: &OsStr, arguments: &[OsString], uri: &str) -> anyhow::Result<u8> {
    // Listening for signals starts before the command does, so that none is lost in between.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
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
    loop {
        tokio::select! {
            status = child.wait() => return Ok(exit_code(status?)),
            _ = interrupt.recv() => if !in_foreground() { forward(&child, Signal::INT) },
            _ = terminate.recv() => forward(&child, Signal::TERM),
        }
    }
}

/// The exit status that a shell would give for the command's.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|number| SIGNALLED + number));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}

/// Passes a signal on to the command.
fn forward(child: &Child, signal: Signal) {
    let pid = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended meanwhile; its status will tell.
        let _ = kill_process(pid, signal);
    }
}

/// Whether we are in the foreground process group of a terminal: then Ctrl-C has reached the
/// command already, and passing it on would deliver it twice.
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
