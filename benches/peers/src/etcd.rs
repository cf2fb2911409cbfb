//! etcd, one member, through gRPC over its unix socket.

use std::path::Path;

use anyhow::{Context, bail, ensure};

use super::http2::{Came, Http2};
use super::pipe::{Place, Protocol};
use super::process::{Process, find, first_line, free_port};
use super::system::Started;
use super::work::{Action, Work, key_of, value_of};

/// File name of its socket; etcd requires the form of a host and a port.
const SOCKET: &str = "etcd.sock:0";

/// Starts etcd if it is installed.
pub(crate) fn start(parent: &Path) -> anyhow::Result<Started> {
    let Some(program) = find("etcd") else {
        return Ok(Started::Missing("etcd-server is not installed"));
    };
    let directory = Process::directory(parent)?;
    let place = Place::Unix(directory.path().join(SOCKET));
    let peers = format!("http://127.0.0.1:{}", free_port()?);
    let arguments = [
        ["--data-dir", "data"],
        ["--listen-client-urls", &format!("unix://{SOCKET}")],
        ["--advertise-client-urls", &format!("unix://{SOCKET}")],
        ["--listen-peer-urls", &peers],
        ["--initial-advertise-peer-urls", &peers],
        ["--initial-cluster", &format!("default={peers}")],
        ["--quota-backend-bytes", "8000000000"],
    ];
    let process = Process::start(directory, &program, arguments.as_flattened(), &place)?;
    let version = first_line(&program, &["--version"]);
    let version = version.rsplit(' ').next().unwrap_or_default();
    let about = format!(
        "etcd {version}, one member, gRPC over a unix socket, defaults: each answer follows an fdatasync of its log"
    );
    Started::runs("etcd", about, process, place, &[Work::Counts], |number| {
        Box::new(Etcd {
            http: None,
            counter: format!("bench-counter{number}"),
            revision: 0,
            ended: 0,
            messages: 0,
            counts: false,
            watches: false,
        })
    })
}

/// The gRPC protocol of etcd.
struct Etcd {
    http: Option<Http2>,
    /// Key of this connection's counter.
    counter: String,
    /// Revision of the last change of the counter.
    revision: u64,
    ended: u64,
    messages: u64,
    counts: bool,
    watches: bool,
}

impl Etcd {
    fn send(
        &mut self,
        path: &'static str,
        message: &[u8],
        last: bool,
        out: &mut Vec<u8>,
    ) -> anyhow::Result<()> {
        let http = self.http.as_mut().context("not open")?;
        http.request(path, message, last, out)
    }
}

impl Protocol for Etcd {
    fn open(&mut self, out: &mut Vec<u8>) -> anyhow::Result<usize> {
        self.http = Some(Http2::open(out));
        Ok(0)
    }

    fn request(&mut self, action: Action, i: u64, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let key = format!("bench/key{}", key_of(i));
        let mut message = Vec::with_capacity(128);
        match action {
            Action::Put => {
                bytes(&mut message, 1, key.as_bytes());
                bytes(&mut message, 2, &value_of(i));
                self.send("/etcdserverpb.KV/Put", &message, true, out)
            }
            Action::Get => {
                bytes(&mut message, 1, key.as_bytes());
                self.send("/etcdserverpb.KV/Range", &message, true, out)
            }
            Action::Count => {
                // If the revision of the last change matches, put the next number.
                self.counts = true;
                let mut compare = Vec::new();
                number(&mut compare, 2, 2);
                bytes(&mut compare, 3, self.counter.as_bytes());
                number(&mut compare, 6, self.revision);
                let mut put = Vec::new();
                bytes(&mut put, 1, self.counter.as_bytes());
                bytes(&mut put, 2, i.to_string().as_bytes());
                let mut operation = Vec::new();
                bytes(&mut operation, 2, &put);
                bytes(&mut message, 1, &compare);
                bytes(&mut message, 2, &operation);
                self.send("/etcdserverpb.KV/Txn", &message, true, out)
            }
        }
    }

    fn watch(&mut self, out: &mut Vec<u8>) -> anyhow::Result<usize> {
        self.watches = true;
        let mut create = Vec::new();
        bytes(&mut create, 1, b"bench/");
        bytes(&mut create, 2, b"bench0");
        let mut message = Vec::new();
        bytes(&mut message, 1, &create);
        self.send("/etcdserverpb.Watch/Watch", &message, false, out)?;
        Ok(1)
    }

    fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> anyhow::Result<(usize, usize)> {
        let http = self.http.as_mut().context("not open")?;
        let (mut taken, mut answers) = (0, 0);
        while let Some((bytes, came)) = http.take(input.get(taken..).unwrap_or_default(), out)? {
            taken += bytes;
            match came {
                Came::Message(message) => {
                    self.messages += 1;
                    answers += usize::from(self.watches);
                    if self.counts {
                        ensure!(field(message, 2)? == Some(Field::Number(1)), "a lost race");
                        self.revision = revision(message)?;
                    }
                }
                Came::End => {
                    self.ended += 1;
                    // On an error the stream ends without a message.
                    ensure!(self.messages >= self.ended, "etcd refuses a request");
                    answers += 1;
                }
                Came::Nothing => {}
            }
        }
        Ok((taken, answers))
    }
}

/// Returns the revision in the header of an answer.
fn revision(message: &[u8]) -> anyhow::Result<u64> {
    let Some(Field::Bytes(header)) = field(message, 1)? else {
        bail!("an answer without a header");
    };
    match field(header, 3)? {
        Some(Field::Number(revision)) => Ok(revision),
        _ => bail!("a header without a revision"),
    }
}

#[derive(Debug, PartialEq)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Returns the field with this number in a protobuf message.
fn field(mut message: &[u8], wanted: u64) -> anyhow::Result<Option<Field<'_>>> {
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let value = varint(&mut message)?;
        let found = match tag & 7 {
            0 => Field::Number(value),
            2 => {
                let split = message.split_at_checked(value as usize);
                let (bytes, rest) = split.context("a short message")?;
                message = rest;
                Field::Bytes(bytes)
            }
            kind => bail!("a field of kind {kind}"),
        };
        if tag >> 3 == wanted {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn varint(message: &mut &[u8]) -> anyhow::Result<u64> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (byte, rest) = message.split_first().context("a short message")?;
        *message = rest;
        value |= u64::from(byte & 0x7f).wrapping_shl(shift);
        shift += 7;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    put_varint(out, field << 3);
    put_varint(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_others() {
        let mut inner = Vec::new();
        number(&mut inner, 1, 1 << 60);
        number(&mut inner, 3, 300);
        let mut message = Vec::new();
        bytes(&mut message, 1, &inner);
        number(&mut message, 2, 1);
        assert_eq!(revision(&message).unwrap(), 300);
        assert_eq!(field(&message, 2).unwrap(), Some(Field::Number(1)));
        assert_eq!(field(&message, 4).unwrap(), None);
        assert!(field(&message[..3], 4).is_err());
    }
}
