//! A guest that tries to harm others: random bytes and malformed frames, floods of requests whose
//! answers it may not read, big values, many watches and uploads, connections held open. It runs as
//! a separate process under another user id and does not use the client library.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::{Bytes, BytesMut};
use kvs_client::{At, Operation, Scope, ScopeKind};
use kvs_proto::{
    Commit, FRAME_BYTES, Hello, List, Log, Lookup, PROTOCOL_VERSION, Request, Upload, UploadData,
    Watch, write_request,
};

use kvs_testkit::Random;

/// Its user id, which belongs to no real user.
pub(crate) const UID: u32 = 54_321;

/// Number of independent attacking threads.
const THREADS: u64 = 8;

/// Connections that each thread holds, usable or not.
const HELD: usize = 8;

/// Maximum total bytes of values sent, so that the disk does not fill up.
const WRITTEN_BYTES: u64 = 1 << 30;

/// Timeout of socket reads and writes.
const WAIT: Duration = Duration::from_millis(100);

/// The arguments of the process.
#[derive(Clone, Debug, clap::Args)]
pub struct HostileGuest {
    /// Socket of the daemon
    #[arg(long)]
    pub socket: PathBuf,
    /// A namespace owned by the guest
    #[arg(long)]
    pub namespace: String,
    /// Random seed
    #[arg(long = "from")]
    pub seed: u64,
}

#[derive(Default)]
struct Done {
    connections: AtomicU64,
    requests: AtomicU64,
    malformed: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    /// Total bytes of values sent.
    values: AtomicU64,
}

/// A running guest, killed on drop.
pub(crate) struct Running(Child);

impl Running {
    /// Starts a guest as another user from this program, which must be `measure`.
    pub(crate) fn spawn(guest: &HostileGuest) -> anyhow::Result<Self> {
        // This path works whatever directories the other user may access.
        let child = Command::new("/proc/self/exe")
            .arg("hostile-guest")
            .arg("--socket")
            .arg(&guest.socket)
            .args(["--namespace", &guest.namespace])
            .args(["--from", &guest.seed.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .uid(UID)
            .gid(UID)
            .spawn()
            .context("cannot run the guest")?;
        Ok(Self(child))
    }

    /// Stops the guest; returns the names and values of its counters.
    pub(crate) fn stop(mut self) -> anyhow::Result<Vec<(String, f64)>> {
        let ended = self.0.try_wait()?;
        ensure!(ended.is_none(), "the guest has ended by itself: {ended:?}");
        drop(self.0.stdin.take());
        let mut said = String::new();
        let mut out = self.0.stdout.take().context("no standard output")?;
        out.read_to_string(&mut said)?;
        let mut done = Vec::new();
        for line in said.lines() {
            let (name, value) = line.split_once(' ').context("a line of the guest")?;
            done.push((name.to_owned(), value.parse()?));
        }
        let idle = done.iter().find(|(_, count)| *count == 0.0);
        ensure!(idle.is_none(), "the guest did too little: {idle:?}");
        ensure!(!done.is_empty(), "the guest says nothing of what it did");
        Ok(done)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The guest may have exited already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl HostileGuest {
    /// Runs until standard input is closed, then prints the counters.
    ///
    /// # Errors
    /// If standard input or output fails.
    pub fn run(&self) -> anyhow::Result<()> {
        let done: &'static Done = Box::leak(Box::default());
        for thread in 0..THREADS {
            let guest = self.clone();
            let mut random = Random::new(Random::mix(self.seed ^ thread));
            std::thread::spawn(move || guest.mischief(&mut random, done));
        }
        std::io::stdin().read_to_end(&mut Vec::new())?;
        let mut out = std::io::stdout().lock();
        for (name, count) in [
            ("guest_connections", &done.connections),
            ("guest_requests", &done.requests),
            ("guest_malformed_frames", &done.malformed),
            ("guest_sent_bytes", &done.sent),
            ("guest_received_bytes", &done.received),
        ] {
            writeln!(out, "{name} {}", count.load(Ordering::Relaxed))?;
        }
        Ok(())
    }

    fn mischief(&self, random: &mut Random, done: &Done) {
        let mut held = VecDeque::new();
        loop {
            let Ok(stream) = connect(&self.socket) else {
                // The daemon is not running.
                std::thread::sleep(Duration::from_millis(5));
                continue;
            };
            done.connections.fetch_add(1, Ordering::Relaxed);
            let mut talk = Talk {
                stream,
                most: match random.below(12) {
                    0 => 4 << 20,
                    1..=3 => 60_000,
                    _ => 100,
                },
                random: &mut *random,
                done,
            };
            // Being refused, disconnected or delayed is expected.
            let _ = talk.session(&self.namespace);
            let stream = talk.stream;
            match random.below(8) {
                0 => held.clear(),
                1..=4 => held.push_back(stream),
                _ => drop(stream),
            }
            if held.len() > HELD {
                held.pop_front();
            }
        }
    }
}

fn connect(socket: &PathBuf) -> std::io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(WAIT))?;
    stream.set_write_timeout(Some(WAIT))?;
    Ok(stream)
}

/// One connection of the guest.
struct Talk<'a> {
    stream: UnixStream,
    /// Maximum length of the values it sends.
    most: u64,
    random: &'a mut Random,
    done: &'a Done,
}

impl Talk<'_> {
    fn session(&mut self, namespace: &str) -> std::io::Result<()> {
        if self.random.below(6) == 0 {
            return self.before_hello();
        }
        let hello = Hello {
            versions: vec![PROTOCOL_VERSION],
            client: std::array::from_fn(|_| self.random.number() as u8),
            namespaces: Vec::new(),
            software: "hostile".into(),
        };
        let hello = self.encoded(0, &hello.into());
        self.send(&hello)?;
        let reads = self.random.below(2) == 0;
        let requests = 1 + self.random.below(500);
        for id in 1..=requests {
            match self.random.below(20) {
                0 => self.random_frame()?,
                1 => self.spoilt(id, namespace)?,
                _ => {
                    let request = self.request(id, namespace);
                    let frame = self.encoded(id, &request);
                    self.send(&frame)?;
                    self.done.requests.fetch_add(1, Ordering::Relaxed);
                }
            }
            if reads && id % 16 == 0 {
                self.receive()?;
            }
        }
        if reads {
            self.receive()?;
        }
        Ok(())
    }

    /// Sends something other than a handshake: nothing, random bytes, or part of a frame with a
    /// large length.
    fn before_hello(&mut self) -> std::io::Result<()> {
        self.done.malformed.fetch_add(1, Ordering::Relaxed);
        match self.random.below(3) {
            0 => Ok(()),
            1 => {
                let count = 1 + self.random.below(100_000) as usize;
                let bytes = self.random.bytes(count);
                self.send(&bytes)
            }
            _ => {
                self.send(&(FRAME_BYTES as u32).to_be_bytes())?;
                let count = self.random.below(FRAME_BYTES as u64) as usize;
                self.send(&vec![0x93; count])
            }
        }
    }

    /// Sends a frame with a valid envelope, an arbitrary operation and a random body.
    fn random_frame(&mut self) -> std::io::Result<()> {
        self.done.malformed.fetch_add(1, Ordering::Relaxed);
        let count = self.random.below(2_000) as usize;
        let mut frame = (count as u32 + 4).to_be_bytes().to_vec();
        let operation = self.random.below(40) as u8;
        let map = 0x80 + self.random.below(16) as u8;
        frame.extend([0x93, self.random.below(100) as u8, operation, map]);
        frame.extend(self.random.bytes(count));
        self.send(&frame)
    }

    /// Sends a request with some bytes changed, or truncated.
    fn spoilt(&mut self, id: u64, namespace: &str) -> std::io::Result<()> {
        self.done.malformed.fetch_add(1, Ordering::Relaxed);
        let request = self.request(id, namespace);
        let mut frame = self.encoded(id, &request);
        for _ in 0..=self.random.below(4) {
            let place = self.random.below(frame.len() as u64) as usize;
            if let Some(byte) = frame.get_mut(place) {
                *byte = self.random.number() as u8;
            }
        }
        if self.random.below(2) == 0 {
            frame.truncate(self.random.below(frame.len() as u64) as usize);
        }
        self.send(&frame)
    }

    /// Returns a valid request, for its own namespace or one that it may not access.
    fn request(&mut self, id: u64, own: &str) -> Request {
        let foreign = self.random.below(4) == 0;
        let namespace = if foreign { "primary" } else { own };
        let key = format!("d{}.k{}", self.random.below(50), self.random.below(1_000));
        match self.random.below(12) {
            0..=2 => Lookup {
                namespace: namespace.into(),
                key: key.into(),
                at: At::Current,
                follow: true,
                treeobj: false,
                root: false,
                inline_max: None,
            }
            .into(),
            3 => List {
                namespace: namespace.into(),
                key: ".".into(),
                at: At::Current,
                after: None,
                limit: 0,
                recursive: true,
                scope: None,
                inline_max: None,
                bounded: true,
            }
            .into(),
            4 => Log {
                namespace: namespace.into(),
                from: 0,
                to: None,
                scopes: self.scopes(),
                limit: 0,
            }
            .into(),
            5 | 6 => {
                let mut watch = Watch::new(namespace);
                watch.scopes = self.scopes();
                watch.credit = self.random.below(1_000_000);
                watch.into()
            }
            7 => Upload {
                namespace: namespace.into(),
            }
            .into(),
            8 => UploadData {
                upload: self.random.below(id + 1),
                offset: 0,
                bytes: self.value(),
            }
            .into(),
            _ => self.commit(id, namespace, &key),
        }
    }

    fn commit(&mut self, id: u64, namespace: &str, key: &str) -> Request {
        let operation = Operation::Put {
            key: key.into(),
            value: self.value(),
        };
        Commit::new(namespace, id, vec![operation]).into()
    }

    /// Returns up to 64 random patterns.
    fn scopes(&mut self) -> Vec<Scope> {
        let count = self.random.below(64);
        let pattern = |number: u64| Scope {
            kind: ScopeKind::Glob,
            text: format!("**.d*{}*.*k?{}*", number % 10, number / 16 % 10).into(),
        };
        (0..count).map(|_| pattern(self.random.number())).collect()
    }

    /// Returns a value of random length, a short one once enough has been written.
    fn value(&mut self) -> Bytes {
        let length = self.random.below(self.most);
        let written = self.done.values.fetch_add(length, Ordering::Relaxed);
        let length = if written < WRITTEN_BYTES { length } else { 8 };
        let number = self.random.number().to_le_bytes();
        number
            .iter()
            .copied()
            .cycle()
            .take(length as usize)
            .collect()
    }

    fn encoded(&mut self, id: u64, request: &Request) -> BytesMut {
        let mut frame = BytesMut::new();
        // Requests never exceed a frame; otherwise nothing would be sent.
        let _ = write_request(&mut frame, FRAME_BYTES, id, request);
        frame
    }

    fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)?;
        let sent = bytes.len() as u64;
        self.done.sent.fetch_add(sent, Ordering::Relaxed);
        Ok(())
    }

    /// Reads the available input.
    fn receive(&mut self) -> std::io::Result<()> {
        let mut buffer = vec![0; 1 << 16];
        self.stream.set_nonblocking(true)?;
        let end = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self
                    .done
                    .received
                    .fetch_add(count as u64, Ordering::Relaxed),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Ok(()),
                Err(error) => break Err(error),
            };
        };
        self.stream.set_nonblocking(false)?;
        end
    }
}
