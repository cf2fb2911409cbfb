//! The signals that the daemon, and commands that start one, handle.
//!
//! They are caught before anything is created, so no signal leaves files behind. SIGINT, SIGTERM
//! and SIGHUP ask to end; SIGUSR1 and SIGUSR2 are ignored; a file that grows over its limit
//! (SIGXFSZ) fails the write and does not end the process.

use std::io;

use rustix::process::Signal;
use tokio::signal::unix::{Signal as Caught, SignalKind, signal};

/// Added to the signal's number in the exit status, as in a shell.
const SIGNALLED: u8 = 128;

/// The exit status of a process that was ended by a signal.
pub(crate) fn status_of(signal: Signal) -> u8 {
    u8::try_from(signal.as_raw()).map_or(u8::MAX, |number| SIGNALLED.saturating_add(number))
}

/// Receives the signals sent to this process since [`Signals::catch`].
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Caught,
    terminate: Caught,
    /// `None` if the process was started with SIGHUP ignored, as by `nohup`.
    hangup: Option<Caught>,
    user: [Caught; 2],
    file_size: Caught,
}

impl Signals {
    /// Starts catching signals. Must be called within a Tokio runtime.
    pub(crate) fn catch() -> io::Result<Signals> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let hangup = !ignores(&status, Signal::HUP);
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: hangup.then(|| signal(SignalKind::hangup())).transpose()?,
            user: [
                signal(SignalKind::user_defined1())?,
                signal(SignalKind::user_defined2())?,
            ],
            file_size: signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?,
        })
    }

    /// Waits for the next signal that asks to end. Cancel-safe.
    pub(crate) async fn end(&mut self) -> Signal {
        let [user1, user2] = &mut self.user;
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return Signal::INT,
                _ = self.terminate.recv() => return Signal::TERM,
                () = received(&mut self.hangup) => return Signal::HUP,
                _ = user1.recv() => tracing::info!("SIGUSR1 is ignored"),
                _ = user2.recv() => tracing::info!("SIGUSR2 is ignored"),
                _ = self.file_size.recv() => {
                    tracing::warn!("a file would have grown over the limit of this process (ulimit -f)");
                }
            }
        }
    }
}

/// Waits for a signal that may not be caught.
async fn received(signal: &mut Option<Caught>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether a process ignores a signal, from the text of its `/proc/…/status`.
fn ignores(status: &str, signal: Signal) -> bool {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let bit = u32::try_from(signal.as_raw() - 1).ok();
    let bit = bit.and_then(|bit| 1_u64.checked_shl(bit));
    mask.zip(bit).is_some_and(|(mask, bit)| mask & bit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_of_a_shell() {
        assert_eq!(status_of(Signal::HUP), 129);
        assert_eq!(status_of(Signal::INT), 130);
        assert_eq!(status_of(Signal::TERM), 143);
    }

    #[test]
    fn signals_that_are_ignored_stand_in_a_mask() {
        let status = "Name:\tkvs\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\n";
        assert!(ignores(status, Signal::HUP));
        assert!(ignores(status, Signal::PIPE));
        assert!(!ignores(status, Signal::INT));
        for unknown in ["", "SigIgn:\tx\n", "SigIgn:\n"] {
            assert!(!ignores(unknown, Signal::HUP));
        }
    }
}
