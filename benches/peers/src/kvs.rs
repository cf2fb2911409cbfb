//! kvs through a bare client: the daemon without the client library, measured like the other
//! systems.

use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, bail};
use bytes::{Bytes, BytesMut};
use kvs_proto::{
    At, Commit, Credit, FRAME_BYTES, FrameCodec, Hello, Lookup, Operation, PROTOCOL_VERSION,
    Request, STREAM_CREDIT, Status, Watch, write_request,
};
use kvs_testkit::{Daemon, Home};
use tokio_util::codec::Decoder;

use super::pipe::{Place, Protocol};
use super::system::{Bare, System};
use super::work::{Action, key_of, value_of};

/// Request id of the watch, distinct from other requests.
const WATCH: u64 = u64::MAX;

/// A running kvs daemon and its address.
pub(crate) struct Ours {
    /// Address, as for `kvs --uri`.
    pub(crate) uri: String,
    /// Durability mode, as for `kvs serve`.
    pub(crate) durability: &'static str,
    place: Place,
    _daemon: Daemon,
    _home: Home,
}

impl Ours {
    /// Starts a daemon with its store below `parent`.
    pub(crate) fn start(parent: &Path, durability: &'static str) -> anyhow::Result<Rc<Ours>> {
        let home = Home::in_directory(parent)?;
        let daemon = home.start_with(&["--durability", durability])?;
        Ok(Rc::new(Ours {
            uri: home.uri(),
            durability,
            place: Place::Unix(home.socket()),
            _daemon: daemon,
            _home: home,
        }))
    }

    /// Wraps the daemon as a system driven by the bare client.
    pub(crate) fn bare(self: &Rc<Ours>, name: &'static str) -> anyhow::Result<Box<dyn System>> {
        let about = format!(
            "the same daemon as before, durability {}, by a bare client as all that follow",
            self.durability
        );
        let place = self.place.clone();
        let bare = Bare::new(name, about, Rc::clone(self), place, &[], |number| {
            Box::new(Frames::new(number))
        })?;
        Ok(Box::new(bare))
    }
}

/// The protocol of kvs.
struct Frames {
    client: [u8; 16],
    codec: FrameCodec,
    input: BytesMut,
    output: BytesMut,
    /// Number of commits sent.
    commits: u64,
    /// Number of answers received, without the answer to the handshake.
    answers: u64,
    /// Remaining credit of the watch, in items.
    credit: u64,
}

impl Frames {
    fn new(number: u64) -> Self {
        let mut client = [0; 16];
        let parts = [u64::from(std::process::id()), number].map(u64::to_be_bytes);
        client.copy_from_slice(parts.as_flattened());
        Self {
            client,
            codec: FrameCodec::default(),
            input: BytesMut::new(),
            output: BytesMut::new(),
            commits: 0,
            answers: 0,
            credit: 0,
        }
    }

    fn send(&mut self, id: u64, request: &Request, out: &mut Vec<u8>) -> anyhow::Result<()> {
        write_request(&mut self.output, FRAME_BYTES, id, request)?;
        out.extend_from_slice(&self.output);
        self.output.clear();
        Ok(())
    }

    fn commit(&mut self, operation: Operation) -> Request {
        self.commits += 1;
        Request::Commit(Commit {
            namespace: "primary".into(),
            number: self.commits,
            // Answers arrive in order, so this is also the number of the newest answered commit.
            acknowledged: self.answers,
            root: true,
            repeat: None,
            name: None,
            no_merge: false,
            conditions: Vec::new(),
            operations: vec![operation],
        })
    }

    fn grant(&mut self, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let credit = Credit {
            add: STREAM_CREDIT - self.credit,
            bytes: 0,
        };
        self.credit = STREAM_CREDIT;
        self.send(WATCH, &Request::Credit(credit), out)
    }
}

impl Protocol for Frames {
    fn open(&mut self, out: &mut Vec<u8>) -> anyhow::Result<usize> {
        let hello = Hello {
            versions: vec![PROTOCOL_VERSION],
            client: self.client,
            namespaces: Vec::new(),
            software: "peers".into(),
        };
        self.send(0, &Request::Hello(hello), out)?;
        Ok(1)
    }

    fn request(&mut self, action: Action, i: u64, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let key = format!("bench.key{}", key_of(i)).into();
        let request = match action {
            Action::Put => self.commit(Operation::Put {
                key,
                value: Bytes::copy_from_slice(&value_of(i)),
            }),
            Action::Count => self.commit(Operation::Add {
                key: "bench-counter".into(),
                delta: 1,
            }),
            Action::Get => Request::Lookup(Lookup {
                namespace: "primary".into(),
                key,
                at: At::Current,
                follow: true,
                treeobj: false,
                root: false,
                inline_max: None,
            }),
        };
        self.send(i + 1, &request, out)
    }

    fn watch(&mut self, out: &mut Vec<u8>) -> anyhow::Result<usize> {
        let mut watch = Watch::new("primary");
        watch.credit = STREAM_CREDIT;
        self.credit = STREAM_CREDIT;
        self.send(WATCH, &Request::Watch(watch), out)?;
        Ok(1)
    }

    fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> anyhow::Result<(usize, usize)> {
        self.input.extend_from_slice(input);
        let mut messages = 0;
        while let Some(frame) = self.codec.decode(&mut self.input)? {
            match Status::from_code(frame.tag)? {
                Status::Final => {
                    messages += 1;
                    self.answers += u64::from(frame.id != 0);
                }
                Status::Error => bail!("kvs answers {}", String::from_utf8_lossy(&frame.body)),
                Status::Item => {
                    // A map of one entry whose key is the type of the item.
                    let name = frame.body.get(2..).context("an empty item")?;
                    if name.starts_with(b"changes") {
                        messages += 1;
                        self.credit -= 1;
                    } else if name.starts_with(b"started") {
                        messages += 1;
                    }
                }
            }
        }
        if self.credit > 0 && self.credit < STREAM_CREDIT / 2 {
            self.grant(out)?;
        }
        Ok((input.len(), messages))
    }
}

#[cfg(test)]
mod tests {
    use kvs_proto::{Empty, write_answer};

    use super::*;

    #[test]
    fn answers_in_pieces_are_counted_once() {
        let mut frames = Frames::new(1);
        let mut bytes = BytesMut::new();
        for id in 0..3 {
            write_answer(&mut bytes, FRAME_BYTES, id, Status::Final, &Empty {}).unwrap();
        }
        let (first, rest) = bytes.split_at(bytes.len() - 1);
        let mut out = Vec::new();
        assert_eq!(frames.take(first, &mut out).unwrap(), (first.len(), 2));
        assert_eq!(frames.take(rest, &mut out).unwrap(), (1, 1));
        assert_eq!(frames.answers, 2);
    }
}
