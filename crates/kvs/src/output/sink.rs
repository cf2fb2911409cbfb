//! Standard output: buffered, flushed when a verb says so, and aware of whether a person reads it.
//!
//! Writing to a pipe that nobody reads any more gives an `OutputError` that says so, which
//! `commands::report` turns into a quiet end.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::escape::{escape, escape_value};
use super::failure::OutputError;

/// Prints text and a newline at once. Its colours go only where they are wanted; what cannot be
/// written is an error, where `println!` would panic.
pub(crate) fn print(text: &str) -> Result<(), OutputError> {
    let mut stdout = anstream::stdout().lock();
    writeln!(stdout, "{text}")?;
    Ok(stdout.flush()?)
}

/// The width that is assumed when nothing tells one.
const USUAL_WIDTH: usize = 80;

/// Standard output of one command. Whoever writes last flushes.
#[derive(Debug)]
pub(crate) struct Sink {
    writer: BufWriter<Stdout>,
    terminal: bool,
}

impl Sink {
    /// Takes standard output.
    pub(crate) fn new() -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        Self {
            writer: BufWriter::with_capacity(64 * 1024, stdout),
            terminal,
        }
    }

    /// Whether a terminal shows what is written.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Text that must not act on a terminal: escaped for one, as it is for a file or a pipe.
    pub(crate) fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.terminal {
            escape(text)
        } else {
            Cow::Borrowed(text)
        }
    }

    /// Writes text as it is.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), OutputError> {
        Ok(self.writer.write_all(text.as_bytes())?)
    }

    /// Writes one line; `line` is not yet ended.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), OutputError> {
        self.text(line)?;
        self.text("\n")
    }

    /// Writes bytes exactly.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        Ok(self.writer.write_all(bytes)?)
    }

    /// Writes a value for reading: exact in a file or a pipe, harmless on a terminal.
    pub(crate) fn value(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        if self.terminal {
            self.text(&escape_value(bytes))
        } else {
            self.raw(bytes)
        }
    }

    /// Hands everything written so far to the operating system.
    pub(crate) fn flush(&mut self) -> Result<(), OutputError> {
        Ok(self.writer.flush()?)
    }
}

/// Waits until whoever read standard output has gone away; never ends for files and terminals.
///
/// A watch that has nothing to write would otherwise outlive `| head -1` for as long as its keys
/// rest. Costs a thread that sleeps until then; it does not keep the process from ending.
pub(crate) async fn reader_gone() -> OutputError {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let stdout = io::stdout();
        let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
        loop {
            match poll(&mut polled, None) {
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
        if polled
            .iter()
            .any(|fd| fd.revents().intersects(PollFlags::ERR | PollFlags::HUP))
        {
            // Nobody waits any more: the command is ending anyway.
            let _ = tell.send(());
        }
    });
    match told.await {
        Ok(()) => io::Error::from(io::ErrorKind::BrokenPipe).into(),
        Err(_) => std::future::pending().await,
    }
}

/// Columns of the terminal, else of `$COLUMNS`; `None` if nothing tells how wide a line may be.
pub(crate) fn known_columns() -> Option<usize> {
    if let Ok(size) = rustix::termios::tcgetwinsize(io::stdout())
        && size.ws_col > 0
    {
        return Some(usize::from(size.ws_col));
    }
    let variable = std::env::var("COLUMNS").ok();
    let columns = variable.and_then(|text| text.trim().parse().ok());
    columns.or_else(|| io::stdout().is_terminal().then_some(USUAL_WIDTH))
}

/// The same, else 80.
pub(crate) fn terminal_columns() -> usize {
    known_columns().unwrap_or(USUAL_WIDTH)
}
