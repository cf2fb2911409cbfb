//! The attacks of a hostile guest on a daemon, each repeated until killed: the body of a process
//! that runs as another user.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::{Bytes, BytesMut};
use clap::ValueEnum;
use kvs_proto as wire;
use kvs_proto::{FRAME_BYTES, PROTOCOL_VERSION, Request, write_request};
use rustix::process::{Signal, set_parent_process_death_signal};

/// The guest's own namespace, and the one shared with it.
pub(crate) const OWN: &str = "guest";
pub(crate) const SHARED: &str = "shared";

/// A small value.
const SMALL: &[u8] = &[b'x'; 64];

/// Requests in flight per connection.
const IN_FLIGHT: u64 = 64;

/// Number of the guest's connections.
const CONNECTIONS: u8 = 32;

/// A way to flood a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Flood {
    /// Send nothing and spin: the cost of another process on the machine
    Spin,
    /// Small puts
    Puts,
    /// Puts of 60 kB
    LargePuts,
    /// Puts of 1 MiB, each stored in a pack
    PackedPuts,
    /// Lookups of a long value whose answers are not read
    Unread,
    /// Watches with very many patterns on what the owner writes
    Patterns,
    /// Waits for a version that is never reached
    Waits,
    /// Connections opened and closed
    Connections,
    /// Pins created and released
    Pins,
    /// Uploads that are never committed
    Uploads,
    /// The log, for a scope without matches
    Log,
    /// Reads of old versions
    Past,
    /// Recursive lists of a huge tree without matches
    Lists,
}

impl Flood {
    /// Returns the name on the command line.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Floods the daemon on that socket until killed or until the parent process exits. Prints
    /// `flooding` once it has begun. `versions` is the number of versions of the shared namespace.
    ///
    /// # Errors
    /// If the daemon is gone or misbehaves.
    pub fn run(self, socket: &Path, versions: u64) -> anyhow::Result<()> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if self == Self::Spin {
            say()?;
            loop {
                std::hint::spin_loop();
            }
        }
        if self == Self::Connections {
            say()?;
            loop {
                let stream = UnixStream::connect(socket)?;
                // A refused connection gets no handshake.
                let _ = Guest::greet(stream, 0);
            }
        }
        let mut guests = Vec::new();
        for client in 0..CONNECTIONS {
            guests.push(Guest::greet(UnixStream::connect(socket)?, client)?);
        }
        self.prepare(guests.first_mut().context("no connection")?)?;
        say()?;
        let threads = guests.into_iter().map(|guest| {
            let work = move || self.flood(guest, versions);
            std::thread::Builder::new().spawn(work)
        });
        for thread in threads.collect::<Result<Vec<_>, _>>()? {
            match thread.join() {
                Ok(ended) => ended?,
                Err(_) => bail!("a connection's thread has failed"),
            }
        }
        Ok(())
    }

    /// Creates what the flood needs.
    fn prepare(self, guest: &mut Guest) -> anyhow::Result<()> {
        match self {
            Self::Unread => guest.call(put(1, "big", vec![7; 4 << 20])),
            Self::Lists => {
                guest.call(put(1, "t0.a", SMALL.to_vec()))?;
                for level in 1..=22 {
                    let copy = |name: &str| wire::Operation::Copy {
                        from: format!("t{}", level - 1).into(),
                        to: format!("t{level}.{name}").into(),
                    };
                    let operations = vec![copy("a"), copy("b")];
                    guest.call(commit(level + 1, operations))?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn flood(self, mut guest: Guest, versions: u64) -> anyhow::Result<()> {
        if self == Self::Unread {
            loop {
                for _ in 0..32 {
                    guest.send(lookup(OWN, "big", wire::At::Current))?;
                }
                // One half of the connections is held for the lifetime of the process; the other
                // half reconnects repeatedly.
                while guest.client.is_multiple_of(2) {
                    std::thread::park();
                }
                std::thread::sleep(Duration::from_millis(50));
                let Guest { stream, client, .. } = guest;
                let address = stream.peer_addr()?;
                drop(stream);
                let path = address.as_pathname().context("a socket with a path")?;
                guest = Self::come_again(path, client)?;
            }
        }
        if matches!(self, Self::Patterns | Self::Waits) {
            for number in 0..IN_FLIGHT {
                guest.send(self.held(number))?;
            }
            loop {
                guest.receive()?;
            }
        }
        for number in 0_u64.. {
            if self == Self::Uploads && number.is_multiple_of(2) && number > 0 {
                // Drops the previous upload, to make room for another.
                let upload = guest.last - 1;
                guest.send_as(upload, &Request::Cancel(wire::Empty {}))?;
            }
            guest.send(self.request(&guest, number, versions))?;
            if number >= IN_FLIGHT {
                guest.receive()?;
            }
        }
        Ok(())
    }

    /// Replaces a closed connection, which may still be counted.
    fn come_again(socket: &Path, client: u8) -> anyhow::Result<Guest> {
        for _ in 0..1_000 {
            if let Ok(guest) = Guest::greet(UnixStream::connect(socket)?, client) {
                return Ok(guest);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        bail!("a connection was refused for a second")
    }

    /// Returns a request that stays open.
    fn held(self, number: u64) -> Request {
        if self == Self::Waits {
            let wait = wire::Wait {
                namespace: SHARED.into(),
                version: u64::MAX / 2,
                incarnation: None,
            };
            return wait.into();
        }
        let scope = |index| wire::Scope {
            kind: wire::ScopeKind::Glob,
            text: format!("**.k*{number}.{index}*.**").into(),
        };
        let watch = wire::Watch {
            scopes: (0..16).map(scope).collect(),
            credit: 1,
            ..wire::Watch::new(SHARED)
        };
        watch.into()
    }

    /// Returns the request with a given number.
    fn request(self, guest: &Guest, number: u64, versions: u64) -> Request {
        match self {
            Self::LargePuts => put(number + 100, &format!("k{}", number % 8), vec![1; 60_000]),
            Self::PackedPuts => {
                let mut value = vec![1; 1 << 20];
                let salt = number * 256 + u64::from(guest.client);
                value.splice(..8, salt.to_be_bytes());
                put(number + 100, &format!("k{}", number % 8), value)
            }
            Self::Pins if number % 2 == 1 => wire::Unpin { id: number }.into(),
            Self::Pins => {
                let snapshot = format!("{SHARED}@0:blake3-{:064x}", number).into();
                wire::Pin {
                    snapshot,
                    lease_ms: Some(1_000),
                }
                .into()
            }
            Self::Uploads if number.is_multiple_of(2) => wire::Upload {
                namespace: OWN.into(),
            }
            .into(),
            Self::Uploads => wire::UploadData {
                upload: guest.last,
                offset: 0,
                bytes: Bytes::from(vec![3; 1 << 20]),
            }
            .into(),
            Self::Log => wire::Log {
                namespace: SHARED.into(),
                from: 0,
                to: None,
                scopes: vec![wire::Scope {
                    kind: wire::ScopeKind::Key,
                    text: "nothing".into(),
                }],
                limit: 0,
            }
            .into(),
            Self::Past => {
                let any = number * 7_919 + u64::from(guest.client) * 104_729;
                let version = 1 + any % versions.max(1);
                lookup(SHARED, "k1", wire::At::Version(version))
            }
            Self::Lists => wire::List {
                namespace: OWN.into(),
                key: "t22".into(),
                at: wire::At::Current,
                after: None,
                limit: 0,
                recursive: true,
                scope: Some(wire::Scope {
                    kind: wire::ScopeKind::Glob,
                    text: "**.nothing".into(),
                }),
                inline_max: None,
                bounded: true,
            }
            .into(),
            _ => put(number + 100, &format!("k{}", number % 8), SMALL.to_vec()),
        }
    }
}

fn say() -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "flooding")?;
    Ok(out.flush()?)
}

fn commit(number: u64, operations: Vec<wire::Operation>) -> Request {
    wire::Commit {
        acknowledged: number.saturating_sub(2 * IN_FLIGHT),
        ..wire::Commit::new(OWN, number, operations)
    }
    .into()
}

fn put(number: u64, key: &str, value: Vec<u8>) -> Request {
    let operation = wire::Operation::Put {
        key: key.into(),
        value: value.into(),
    };
    commit(number, vec![operation])
}

fn lookup(namespace: &str, key: &str, at: wire::At) -> Request {
    wire::Lookup {
        namespace: namespace.into(),
        key: key.into(),
        at,
        follow: true,
        treeobj: false,
        root: false,
        inline_max: Some(8 << 20),
    }
    .into()
}

/// One connection of the guest.
struct Guest {
    stream: UnixStream,
    client: u8,
    next: u64,
    /// Id of the last request.
    last: u64,
}

impl Guest {
    fn greet(stream: UnixStream, client: u8) -> anyhow::Result<Self> {
        let mut guest = Self {
            stream,
            client,
            next: 0,
            last: 0,
        };
        let hello = wire::Hello {
            versions: vec![PROTOCOL_VERSION],
            client: [client; 16],
            namespaces: Vec::new(),
            software: "flood".into(),
        };
        guest.send(hello.into())?;
        guest.receive()?;
        Ok(guest)
    }

    fn send(&mut self, request: Request) -> anyhow::Result<()> {
        self.last = self.next;
        self.next += 1;
        self.send_as(self.last, &request)
    }

    fn send_as(&mut self, id: u64, request: &Request) -> anyhow::Result<()> {
        let mut frame = BytesMut::new();
        write_request(&mut frame, FRAME_BYTES, id, request)?;
        Ok(self.stream.write_all(&frame)?)
    }

    /// Receives an answer and ignores its content.
    fn receive(&mut self) -> anyhow::Result<()> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head)?;
        let mut left = u64::from(u32::from_be_bytes(head));
        let mut buffer = [0; 65_536];
        while left > 0 {
            let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let part = buffer.get_mut(..most).context("a buffer")?;
            match self.stream.read(part) {
                Ok(0) => bail!("the daemon has closed the connection"),
                Ok(count) => left -= count as u64,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sends a request and waits for its answer.
    fn call(&mut self, request: Request) -> anyhow::Result<()> {
        self.send(request)?;
        self.receive()
    }
}
