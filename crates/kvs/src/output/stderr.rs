//! Lines on standard error. Failing to write one does not end the process; `eprintln!` would panic.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::stdio::stderr;

use super::{escape, escape_value};

/// How long the last line of a process waits for a full pipe.
const LAST_WAIT: Duration = Duration::from_millis(500);

/// Prints a line unchanged.
pub(crate) fn complain(line: &str) {
    // There is nowhere to report a failure.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints a line, escaped if standard error is a terminal.
pub(crate) fn complain_safely(line: &str) {
    if std::io::stderr().is_terminal() {
        complain(&escape_value(line.as_bytes()));
    } else {
        complain(line);
    }
}

/// Prints the last line before the process ends. Takes no lock and waits only briefly, whatever the
/// remaining threads do.
pub(crate) fn last_words(line: &str) {
    let line = escape(line).into_owned() + "\n";
    let wait = LAST_WAIT.try_into().ok();
    let stderr = stderr();
    let mut ready = [PollFd::new(&stderr, PollFlags::OUT)];
    if poll(&mut ready, wait.as_ref()).is_ok_and(|ready| ready > 0) {
        // A pipe that is ready takes a whole line of this length.
        let _ = rustix::io::write(stderr, line.as_bytes());
    }
}
