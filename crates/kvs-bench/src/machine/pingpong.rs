//! The minimum cost of a request: the same bytes sent and returned over a unix socket, between the
//! same kinds of runtime on the same CPUs, without any work.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::frames::Frames;
use crate::cpus::Cpus;
use crate::plan::Pin;
use crate::statistics::Samples;

/// The warm-up is the time divided by this.
const WARM_UP: u32 = 4;

/// The peer in its own process, killed on drop.
pub(crate) struct PingPong {
    _peer: Child,
    socket: UnixStream,
    frames: Frames,
}

impl PingPong {
    /// Starts the peer on its CPU and leaves the calling thread on the CPU of the clients.
    pub(crate) fn start(cpus: &Cpus, pin: Option<Pin>, frames: Frames) -> anyhow::Result<PingPong> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        cpus.enter(pin.map(|pin| pin.daemon))?;
        let peer = Command::new(std::env::current_exe()?)
            .arg("bench-peer")
            .arg(frames.request.to_string())
            .arg(frames.answer.to_string())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the peer of the ping-pong");
        cpus.enter(pin.map(|pin| pin.clients))?;
        Ok(PingPong {
            _peer: peer?,
            socket: UnixStream::from_std(ours)?,
            frames,
        })
    }

    /// Repeatedly sends `batch` requests at once and receives their answers. Returns one sample per
    /// round and the total time of all samples.
    pub(crate) async fn run(
        &mut self,
        batch: usize,
        time: Duration,
    ) -> anyhow::Result<(Samples, Duration)> {
        let request = vec![b'x'; self.frames.request * batch];
        let mut answer = vec![0; self.frames.answer * batch];
        let mut samples = Samples::with_capacity(1 << 16);
        let (mut reader, mut writer) = self.socket.split();
        let warm = Instant::now() + time / WARM_UP;
        let mut first = None;
        loop {
            let start = Instant::now();
            if batch == 1 {
                writer.write_all(&request).await?;
                reader.read_exact(&mut answer).await?;
            } else {
                // Concurrently, so that a full socket cannot block both sides.
                tokio::try_join!(writer.write_all(&request), reader.read_exact(&mut answer))?;
            }
            let end = Instant::now();
            if start < warm {
                continue;
            }
            let first = *first.get_or_insert(start);
            samples.push(end - start);
            if end - warm >= time {
                return Ok((samples, end - first));
            }
        }
    }
}
