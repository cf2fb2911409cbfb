//! Where a report goes: standard output, or the standard input of a command.

use anyhow::Result;
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;

use crate::limits::EXEC_BUFFER_BYTES;
use crate::output::Sink;

/// Writes bytes in order.
pub(super) enum Outlet<'o> {
    /// Standard output; the caller flushes.
    Stdout(&'o mut Sink),
    Command(Feed),
}

/// The standard input of a command. The command need not read it.
pub(super) struct Feed {
    stdin: Option<ChildStdin>,
    buffer: Vec<u8>,
}

impl Feed {
    pub(super) fn new(stdin: Option<ChildStdin>) -> Self {
        Self {
            stdin,
            buffer: Vec::new(),
        }
    }

    async fn send(&mut self) {
        let Some(stdin) = &mut self.stdin else { return };
        // The command has closed its input.
        if stdin.write_all(&self.buffer).await.is_err() {
            self.stdin = None;
        }
        self.buffer.clear();
    }
}

impl Outlet<'_> {
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Outlet::Stdout(sink) => sink.raw(bytes)?,
            Outlet::Command(feed) => {
                if feed.stdin.is_some() {
                    feed.buffer.extend_from_slice(bytes);
                }
                if feed.buffer.len() >= EXEC_BUFFER_BYTES {
                    feed.send().await;
                }
            }
        }
        Ok(())
    }

    /// Writes the rest to a command and closes its input.
    pub(super) async fn finish(self) {
        if let Outlet::Command(mut feed) = self {
            feed.send().await;
        }
    }

    pub(super) async fn text(&mut self, text: &str) -> Result<()> {
        self.write(text.as_bytes()).await
    }
}
