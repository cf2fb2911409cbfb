//! ZooKeeper, one server, through its own protocol over a loopback port.

use std::path::Path;

use anyhow::{Context, ensure};

use super::pipe::{Place, Protocol};
use super::process::{Process, find, free_port};
use super::system::Started;
use super::work::{Action, KEYS, Work, key_of, value_of};

/// The program, as installed by Debian.
const JAR: &str = "/usr/share/java/zookeeper.jar";

/// The class that runs a standalone server.
const CLASS: &str = "org.apache.zookeeper.server.ZooKeeperServerMain";

/// Session timeout in milliseconds.
const SESSION_MS: i32 = 30_000;

const CREATE: i32 = 1;
const GET_DATA: i32 = 4;
const SET_DATA: i32 = 5;
const ADD_WATCH: i32 = 106;

/// Mode of a persistent watch on a node and everything below.
const PERSISTENT_RECURSIVE: i32 = 1;

/// Permission bits: all.
const ALL: i32 = 31;

/// Matches any version.
const ANY: i32 = -1;

/// Starts ZooKeeper if it is installed.
pub(crate) fn start(parent: &Path) -> anyhow::Result<Started> {
    let jar = Path::new(JAR);
    let (Some(java), true) = (find("java"), jar.exists()) else {
        return Ok(Started::Missing("zookeeper is not installed"));
    };
    let directory = Process::directory(parent)?;
    let port = free_port()?;
    let settings = format!(
        "dataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\ntickTime=2000\nadmin.enableServer=false\n",
        directory.path().display()
    );
    std::fs::write(directory.path().join("zoo.cfg"), settings)?;
    let class_path = format!("{JAR}:/usr/share/java/slf4j-nop.jar");
    let arguments = ["-Xmx512m", "-cp", &class_path, CLASS, "zoo.cfg"];
    let place = Place::Port(port);
    let process = Process::start(directory, &java, &arguments, &place)?;
    let version = version(jar).unwrap_or_default();
    let about = format!(
        "ZooKeeper {version}, one server, loopback TCP, defaults: each answer follows an fsync of its log"
    );
    Started::runs("zookeeper", about, process, place, &[Work::Counts], |_| {
        Box::new(Jute::default())
    })
}

/// Returns the version, taken from the names of adjacent files.
fn version(jar: &Path) -> Option<String> {
    let files = std::fs::read_dir(jar.parent()?).ok()?.flatten();
    files
        .filter_map(|file| file.file_name().into_string().ok())
        .filter_map(|name| {
            Some(
                name.strip_prefix("zookeeper-")?
                    .strip_suffix(".jar")?
                    .to_owned(),
            )
        })
        .find(|version| version.starts_with(|first: char| first.is_ascii_digit()))
}

/// The protocol of ZooKeeper, named after its encoding.
#[derive(Default)]
struct Jute {
    is_open: bool,
    counts: bool,
    /// Version of the counter in the last answer.
    version: Option<i32>,
}

impl Protocol for Jute {
    fn open(&mut self, out: &mut Vec<u8>) -> anyhow::Result<usize> {
        record(out, |out| {
            int(out, 0);
            long(out, 0);
            int(out, SESSION_MS);
            long(out, 0);
            buffer(out, &[0; 16]);
        });
        Ok(1)
    }

    fn prepare(&mut self, out: &mut Vec<u8>) -> anyhow::Result<usize> {
        let keys = (0..KEYS).map(|n| format!("/bench/key{n}"));
        let paths = ["/bench".to_owned(), "/bench/counter".to_owned()];
        for path in paths.into_iter().chain(keys) {
            request(out, CREATE, &path, |out| {
                buffer(out, b"");
                int(out, 1);
                int(out, ALL);
                buffer(out, b"world");
                buffer(out, b"anyone");
                int(out, 0);
            });
        }
        Ok(KEYS as usize + 2)
    }

    fn request(&mut self, action: Action, i: u64, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let path = format!("/bench/key{}", key_of(i));
        match action {
            Action::Put => request(out, SET_DATA, &path, |out| {
                buffer(out, &value_of(i));
                int(out, ANY);
            }),
            Action::Get => request(out, GET_DATA, &path, |out| out.push(0)),
            Action::Count => {
                self.counts = true;
                let version = self.version.unwrap_or(ANY);
                request(out, SET_DATA, "/bench/counter", |out| {
                    buffer(out, i.to_string().as_bytes());
                    int(out, version);
                });
            }
        }
        Ok(())
    }

    fn watch(&mut self, out: &mut Vec<u8>) -> anyhow::Result<usize> {
        request(out, ADD_WATCH, "/bench", |out| {
            int(out, PERSISTENT_RECURSIVE)
        });
        Ok(1)
    }

    fn take(&mut self, input: &[u8], _out: &mut Vec<u8>) -> anyhow::Result<(usize, usize)> {
        let (mut taken, mut messages) = (0, 0);
        while let Some((length, rest)) = input.get(taken..).and_then(<[u8]>::split_first_chunk) {
            let length = u32::from_be_bytes(*length) as usize;
            let Some(message) = rest.get(..length) else {
                break;
            };
            (taken, messages) = (taken + 4 + length, messages + 1);
            // The first message answers the handshake and has a different format.
            if self.is_open {
                let error = read_int(message, 12)?;
                ensure!(error == 0, "ZooKeeper answers error {error}");
                if self.counts {
                    // After the reply header and four 8-byte fields.
                    self.version = Some(read_int(message, 16 + 32)?);
                }
            }
            self.is_open = true;
        }
        Ok((taken, messages))
    }
}

fn read_int(message: &[u8], at: usize) -> anyhow::Result<i32> {
    let bytes = message.get(at..).and_then(<[u8]>::first_chunk);
    Ok(i32::from_be_bytes(*bytes.context("a short answer")?))
}

fn request(out: &mut Vec<u8>, kind: i32, path: &str, body: impl FnOnce(&mut Vec<u8>)) {
    record(out, |out| {
        int(out, 1);
        int(out, kind);
        buffer(out, path.as_bytes());
        body(out);
    });
}

/// Appends a record with a length prefix.
fn record(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    int(out, 0);
    body(out);
    let length = (out.len() - start - 4) as u32;
    if let Some(field) = out.get_mut(start..start + 4) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

fn int(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn long(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn buffer(out: &mut Vec<u8>, bytes: &[u8]) {
    int(out, bytes.len() as i32);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_and_errors_found() {
        let mut jute = Jute::default();
        let mut input = Vec::new();
        record(&mut input, |out| out.extend_from_slice(&[0; 37]));
        record(&mut input, |out| out.extend_from_slice(&[0; 20]));
        assert_eq!(jute.take(&input, &mut Vec::new()).unwrap(), (65, 2));
        let mut refused = Vec::new();
        record(&mut refused, |out| {
            out.extend_from_slice(&[0; 12]);
            int(out, -110);
        });
        assert!(jute.take(&refused, &mut Vec::new()).is_err());
        assert_eq!(jute.take(&refused[..9], &mut Vec::new()).unwrap(), (0, 0));
    }
}
