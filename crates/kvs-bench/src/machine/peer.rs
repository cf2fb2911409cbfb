//! The peer of the ping-pong: a process on the same kind of runtime as the daemon that answers each
//! request of a fixed size with an answer of a fixed size. Its socket is standard input.

use std::os::unix::net::UnixStream as StdStream;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Read buffer size in bytes, the same as the daemon's.
const READ_BYTES: usize = 64 * 1024;

/// Answers requests until the connection is closed. Requests read together are answered together.
pub async fn run(request: usize, answer: usize) -> anyhow::Result<()> {
    let socket = rustix::stdio::stdin()
        .try_clone_to_owned()
        .context("no socket on standard input")?;
    let socket = StdStream::from(socket);
    socket.set_nonblocking(true)?;
    let socket = UnixStream::from_std(socket).context("standard input is not a unix socket")?;
    // Served by a task, like a connection of the daemon.
    tokio::spawn(serve(socket, request.max(1), answer)).await?
}

async fn serve(mut socket: UnixStream, request: usize, answer: usize) -> anyhow::Result<()> {
    let mut input = vec![0; READ_BYTES];
    let mut output = Vec::new();
    let mut pending = 0;
    loop {
        let read = socket.read(&mut input).await?;
        if read == 0 {
            return Ok(());
        }
        pending += read;
        output.resize((pending / request) * answer, b'x');
        pending %= request;
        socket.write_all(&output).await?;
    }
}
