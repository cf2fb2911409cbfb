//! Redis over its unix socket, with an append-only file.

use std::path::Path;

use anyhow::{Context, bail};

use super::pipe::{Place, Protocol};
use super::process::{Process, find, first_line};
use super::system::Started;
use super::work::{Action, key_of, value_of};

/// When the append-only file is synced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sync {
    /// Before commands are answered.
    Always,
    /// Once a second.
    EverySecond,
}

/// Starts Redis if it is installed.
pub(crate) fn start(parent: &Path, sync: Sync) -> anyhow::Result<Started> {
    let Some(program) = find("redis-server") else {
        return Ok(Started::Missing("redis-server is not installed"));
    };
    let directory = Process::directory(parent)?;
    let socket = directory.path().join("redis.sock");
    let (name, sync, durable) = match sync {
        Sync::Always => ("redis always", "always", "each answer follows an fdatasync"),
        Sync::EverySecond => ("redis everysec", "everysec", "synced once a second"),
    };
    let (path, at) = (
        socket.display().to_string(),
        directory.path().display().to_string(),
    );
    let arguments = [
        ["--port", "0"],
        ["--unixsocket", &path],
        ["--dir", &at],
        ["--save", ""],
        ["--appendonly", "yes"],
        ["--appendfsync", sync],
        ["--auto-aof-rewrite-percentage", "0"],
        ["--notify-keyspace-events", "K$"],
    ];
    let place = Place::Unix(socket);
    let process = Process::start(directory, &program, arguments.as_flattened(), &place)?;
    let version = first_line(&program, &["--version"]);
    let version = version.split_ascii_whitespace().nth(2).unwrap_or_default();
    let version = version.trim_start_matches("v=");
    let about = format!(
        "Redis {version}, unix socket, appendfsync {sync}: {durable}; no snapshots, no rewrites of its file"
    );
    Started::runs(name, about, process, place, &[], |_| Box::new(Resp))
}

/// The RESP 2 protocol.
pub(crate) struct Resp;

impl Protocol for Resp {
    fn open(&mut self, _out: &mut Vec<u8>) -> anyhow::Result<usize> {
        Ok(0)
    }

    fn request(&mut self, action: Action, i: u64, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let key = format!("bench.key{}", key_of(i));
        match action {
            Action::Put => command(out, &[b"SET", key.as_bytes(), &value_of(i)]),
            Action::Get => command(out, &[b"GET", key.as_bytes()]),
            Action::Count => command(out, &[b"INCR", b"bench-counter"]),
        }
        Ok(())
    }

    fn watch(&mut self, out: &mut Vec<u8>) -> anyhow::Result<usize> {
        command(out, &[b"PSUBSCRIBE", b"__keyspace@0__:bench.*"]);
        Ok(1)
    }

    fn take(&mut self, input: &[u8], _out: &mut Vec<u8>) -> anyhow::Result<(usize, usize)> {
        let (mut taken, mut messages) = (0, 0);
        while let Some(end) = value_end(input, taken)? {
            (taken, messages) = (end, messages + 1);
        }
        Ok((taken, messages))
    }
}

fn command(out: &mut Vec<u8>, words: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// Returns the end of the value that begins at `start`; `None` if it is incomplete.
fn value_end(input: &[u8], start: usize) -> anyhow::Result<Option<usize>> {
    let rest = input.get(start..).unwrap_or_default();
    let Some(line) = rest.iter().position(|byte| *byte == b'\n') else {
        return Ok(None);
    };
    let head = rest.get(..line).unwrap_or_default().trim_ascii_end();
    let (kind, text) = head.split_first().context("an empty line")?;
    let mut end = start + line + 1;
    let text = std::str::from_utf8(text)?;
    match kind {
        b'+' | b':' => Ok(Some(end)),
        b'$' => {
            let length: usize = text.parse().context("a value is missing")?;
            end += length + 2;
            Ok((end <= input.len()).then_some(end))
        }
        b'*' => {
            for _ in 0..text.parse::<usize>()? {
                match value_end(input, end)? {
                    Some(next) => end = next,
                    None => return Ok(None),
                }
            }
            Ok(Some(end))
        }
        _ => bail!("Redis says {}", String::from_utf8_lossy(head)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_answers_are_taken_and_the_rest_is_left() {
        let take = |input: &[u8]| Resp.take(input, &mut Vec::new()).unwrap();
        assert_eq!(take(b"+OK\r\n:1\r\n$3\r\nabc\r\n$3\r\nab"), (18, 3));
        assert_eq!(take(b"*2\r\n$1\r\na\r\n:1\r\n*1\r\n"), (15, 1));
        assert_eq!(take(b"+O"), (0, 0));
    }

    #[test]
    fn errors_and_missing_values_are_errors() {
        assert!(Resp.take(b"-ERR no\r\n", &mut Vec::new()).is_err());
        assert!(Resp.take(b"$-1\r\n", &mut Vec::new()).is_err());
    }
}
