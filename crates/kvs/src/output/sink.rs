//! Standard output: buffered, flushed on request, and escaped for terminals.
//!
//! Writing to a closed pipe returns an `OutputError`, on which `commands::report` ends silently.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::escape::{escape, escape_value};
use super::failure::OutputError;

/// Prints text and a newline, and flushes. Colours are removed where they are not wanted. A failed
/// write is an error; `println!` would panic.
pub(crate) fn print(text: &str) -> Result<(), OutputError> {
    let mut stdout = anstream::stdout().lock();
    writeln!(stdout, "{text}")?;
    Ok(stdout.flush()?)
}

/// Assumed width if none is known.
const USUAL_WIDTH: usize = 80;

/// Standard output of one command. The caller flushes after its last write.
#[derive(Debug)]
pub(crate) struct Sink {
    writer: BufWriter<Stdout>,
    terminal: bool,
}

impl Sink {
    pub(crate) fn new() -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        Self {
            writer: BufWriter::with_capacity(64 * 1024, stdout),
            terminal,
        }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Escapes text for a terminal; leaves it unchanged for a file or pipe.
    pub(crate) fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.terminal {
            escape(text)
        } else {
            Cow::Borrowed(text)
        }
    }

    /// Writes text unchanged.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), OutputError> {
        Ok(self.writer.write_all(text.as_bytes())?)
    }

    /// Writes a line and a newline.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), OutputError> {
        self.text(line)?;
        self.text("\n")
    }

    /// Writes bytes unchanged.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        Ok(self.writer.write_all(bytes)?)
    }

    /// Writes a value: escaped on a terminal, exact in a file or pipe.
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

/// Waits until the reader of standard output has closed it; never completes for files and
/// terminals.
///
/// Without this, a watch with nothing to write would outlive `| head -1` until its keys change.
/// Costs a sleeping thread, which does not delay the exit of the process.
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
            // If the receiver is gone, the command is already ending.
            let _ = tell.send(());
        }
    });
    match told.await {
        Ok(()) => io::Error::from(io::ErrorKind::BrokenPipe).into(),
        Err(_) => std::future::pending().await,
    }
}

/// Columns of the terminal, else `$COLUMNS`, else 80 on a terminal; `None` if no width is known.
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

/// As [`known_columns`], else 80.
pub(crate) fn terminal_columns() -> usize {
    known_columns().unwrap_or(USUAL_WIDTH)
}
