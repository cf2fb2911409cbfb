//! A bare client: one blocking socket, a fixed number of requests in flight, answers only counted.
//! It costs less than any client library, so it shows a system at its best.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::work::{Action, IN_FLIGHT, KEYS, Measured, Times, Work};

/// Initial size of the read buffer in bytes.
const READ_BYTES: usize = 64 << 10;

/// Timeout of an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Timeout of the answer to the handshake.
const GREETING: Duration = Duration::from_secs(1);

/// Number of latencies for which memory is reserved.
const EXPECTED: usize = 1 << 20;

/// The address of a system.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A unix socket.
    Unix(PathBuf),
    /// A port on the loopback interface.
    Port(u16),
}

/// A protocol, as far as the workloads need it. Each value belongs to one connection.
pub(crate) trait Protocol {
    /// Appends the handshake; returns the number of messages that answer it.
    fn open(&mut self, out: &mut Vec<u8>) -> anyhow::Result<usize>;

    /// Appends the setup of the keys or their container, done once per system; returns the number
    /// of messages that answer it.
    fn prepare(&mut self, _out: &mut Vec<u8>) -> anyhow::Result<usize> {
        Ok(0)
    }

    /// Appends request `i`.
    fn request(&mut self, action: Action, i: u64, out: &mut Vec<u8>) -> anyhow::Result<()>;

    /// Appends a request to watch all keys; returns the number of messages that answer it. From
    /// then on each event counts as a message.
    fn watch(&mut self, out: &mut Vec<u8>) -> anyhow::Result<usize>;

    /// Consumes complete messages from the front of `input`; returns the bytes consumed and the
    /// number of answers or events. Immediate replies of the protocol are appended to `out`.
    fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> anyhow::Result<(usize, usize)>;
}

enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// A connection to a system.
pub(crate) struct Pipe {
    socket: Socket,
    protocol: Box<dyn Protocol>,
    input: Vec<u8>,
    /// Number of bytes in `input`.
    filled: usize,
    output: Vec<u8>,
}

impl Socket {
    /// Sets the timeout of answers.
    fn patience(&self, time: Duration) -> std::io::Result<()> {
        match self {
            Socket::Unix(socket) => socket.set_read_timeout(Some(time)),
            Socket::Tcp(socket) => socket.set_read_timeout(Some(time)),
        }
    }
}

impl Place {
    fn connect(&self) -> std::io::Result<Socket> {
        match self {
            Place::Unix(path) => {
                let socket = UnixStream::connect(path)?;
                Ok(Socket::Unix(socket))
            }
            Place::Port(port) => {
                let socket = TcpStream::connect(("127.0.0.1", *port))?;
                socket.set_nodelay(true)?;
                Ok(Socket::Tcp(socket))
            }
        }
    }

    /// Returns whether the address accepts connections.
    pub(crate) fn answers(&self) -> bool {
        self.connect().is_ok()
    }
}

impl Pipe {
    /// Connects and performs the handshake.
    pub(crate) fn new(place: &Place, protocol: Box<dyn Protocol>) -> anyhow::Result<Self> {
        let mut pipe = Self {
            socket: place.connect().with_context(|| format!("{place:?}"))?,
            protocol,
            input: vec![0; READ_BYTES],
            filled: 0,
            output: Vec::new(),
        };
        let answers = pipe.protocol.open(&mut pipe.output)?;
        // Some systems accept connections before they serve and never answer those.
        pipe.socket.patience(GREETING)?;
        pipe.exchange(answers)?;
        pipe.socket.patience(PATIENCE)?;
        Ok(pipe)
    }

    /// Creates all keys.
    pub(crate) fn fill(&mut self) -> anyhow::Result<()> {
        let answers = self.protocol.prepare(&mut self.output)?;
        self.exchange(answers)?;
        for first in (0..KEYS).step_by(IN_FLIGHT) {
            let last = (first + IN_FLIGHT as u64).min(KEYS);
            for i in first..last {
                self.protocol.request(Action::Put, i, &mut self.output)?;
            }
            self.exchange((last - first) as usize)?;
        }
        Ok(())
    }

    /// Keeps the workload's number of requests in flight for the given time.
    pub(crate) fn drive(&mut self, work: Work, times: Times) -> anyhow::Result<Measured> {
        let from = Instant::now() + times.warm_up;
        let until = from + times.time;
        let mut nanos = Vec::with_capacity(EXPECTED);
        let mut waiting: VecDeque<Instant> = VecDeque::with_capacity(work.in_flight());
        let (mut i, mut last) = (0, until);
        loop {
            let mut now = Instant::now();
            while waiting.len() < work.in_flight() && now < until {
                self.protocol.request(work.action(), i, &mut self.output)?;
                i += 1;
                waiting.push_back(now);
                now = Instant::now();
            }
            if waiting.is_empty() {
                return Ok(Measured::new(nanos, last.max(until) - from));
            }
            self.flush()?;
            let answers = self.receive()?;
            let now = Instant::now();
            for _ in 0..answers {
                let started = waiting.pop_front().context("an answer to nothing")?;
                if started >= from {
                    nanos.push(u64::try_from((now - started).as_nanos()).unwrap_or(u64::MAX));
                    last = now;
                }
            }
        }
    }

    /// Measures from the call of a put to the event at the watcher, one put at a time.
    pub(crate) fn watched(&mut self, watcher: &mut Pipe, times: Times) -> anyhow::Result<Measured> {
        let answers = watcher.protocol.watch(&mut watcher.output)?;
        watcher.exchange(answers)?;
        let from = Instant::now() + times.warm_up;
        let until = from + times.time;
        let mut nanos = Vec::with_capacity(EXPECTED);
        let mut i = 0;
        loop {
            let start = Instant::now();
            if start >= until {
                return Ok(Measured::new(nanos, start - from));
            }
            self.protocol.request(Action::Put, i, &mut self.output)?;
            i += 1;
            self.flush()?;
            watcher.exchange(1)?;
            let latency = start.elapsed();
            self.exchange(1)?;
            if start >= from {
                nanos.push(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
            }
        }
    }

    /// Sends the pending output and receives exactly this many messages.
    fn exchange(&mut self, messages: usize) -> anyhow::Result<()> {
        self.flush()?;
        let mut taken = 0;
        while taken < messages {
            taken += self.receive()?;
            self.flush()?;
        }
        ensure!(
            taken == messages,
            "{taken} messages came instead of {messages}"
        );
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        if !self.output.is_empty() {
            match &mut self.socket {
                Socket::Unix(socket) => socket.write_all(&self.output)?,
                Socket::Tcp(socket) => socket.write_all(&self.output)?,
            }
            self.output.clear();
        }
        Ok(())
    }

    /// Waits for input; returns the number of complete messages, possibly 0.
    fn receive(&mut self) -> anyhow::Result<usize> {
        if self.filled == self.input.len() {
            self.input.resize(self.input.len() * 2, 0);
        }
        let room = self.input.get_mut(self.filled..).unwrap_or_default();
        let read = match &mut self.socket {
            Socket::Unix(socket) => socket.read(room),
            Socket::Tcp(socket) => socket.read(room),
        };
        let read = read.context("no answer")?;
        ensure!(read > 0, "the connection was closed");
        self.filled += read;
        let bytes = self.input.get(..self.filled).unwrap_or_default();
        let (taken, messages) = self.protocol.take(bytes, &mut self.output)?;
        self.input.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        Ok(messages)
    }
}
