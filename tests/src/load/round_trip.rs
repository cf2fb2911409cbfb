//! Measures a message round trip on this machine: over a unix socket to an echo thread, each side
//! in its own runtime.

use std::os::unix::net::UnixStream as StdStream;
use std::time::Instant;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::Builder;

/// Size of a message in bytes: about that of a small commit.
const MESSAGE_BYTES: usize = 64;

/// The near end of the socket. The echo thread ends when this is dropped.
#[derive(Debug)]
pub(crate) struct RoundTrip(UnixStream);

impl RoundTrip {
    /// Starts the echo thread.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let (near, far) = StdStream::pair()?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        // The same kind of runtime as the daemon's.
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("echo".to_owned())
            .spawn(move || {
                // Ends when the socket is closed.
                let _ = runtime.block_on(async { tokio::spawn(echo(far)).await });
            })?;
        Ok(Self(UnixStream::from_std(near)?))
    }

    /// Sends a message and waits for its echo; returns the time in microseconds.
    pub(crate) async fn once(&mut self) -> anyhow::Result<f64> {
        let mut message = [0; MESSAGE_BYTES];
        let start = Instant::now();
        self.0.write_all(&message).await?;
        let read = self.0.read_exact(&mut message).await;
        read.context("the echo has ended")?;
        Ok(start.elapsed().as_secs_f64() * 1e6)
    }
}

async fn echo(stream: StdStream) -> std::io::Result<()> {
    let mut stream = UnixStream::from_std(stream)?;
    let mut message = [0; MESSAGE_BYTES];
    loop {
        stream.read_exact(&mut message).await?;
        stream.write_all(&message).await?;
    }
}
