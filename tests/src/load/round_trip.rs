//! What the machine takes to carry a message there and back: a byte over a unix socket to a thread
//! that sends it back, each side in a runtime of its own.

use std::os::unix::net::UnixStream as StdStream;
use std::time::Instant;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::Builder;

/// Bytes of a message: about those of a small commit.
const MESSAGE_BYTES: usize = 64;

/// The near end of such a socket. The thread ends with it.
#[derive(Debug)]
pub(crate) struct RoundTrip(UnixStream);

impl RoundTrip {
    /// Starts the thread.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let (near, far) = StdStream::pair()?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        // As a daemon has it.
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("echo".to_owned())
            .spawn(move || {
                // Its end is the end of the socket.
                let _ = runtime.block_on(async { tokio::spawn(echo(far)).await });
            })?;
        Ok(Self(UnixStream::from_std(near)?))
    }

    /// Sends a message and waits for it to come back; the microseconds that it took.
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
