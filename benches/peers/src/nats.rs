//! NATS with a key-value bucket, a JetStream stream on file storage, over a loopback port.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use super::pipe::{Place, Protocol};
use super::process::{Process, find, first_line, free_port};
use super::system::Started;
use super::work::{Action, Work, key_of, value_of};

/// Starts NATS if it is installed.
pub(crate) fn start(parent: &Path) -> anyhow::Result<Started> {
    let Some(program) = find("nats-server") else {
        return Ok(Started::Missing("nats-server is not installed"));
    };
    let directory = Process::directory(parent)?;
    let port = free_port()?;
    let arguments = [
        "-js",
        "-sd",
        "data",
        "-a",
        "127.0.0.1",
        "-p",
        &port.to_string(),
    ];
    let place = Place::Port(port);
    let process = Process::start(directory, &program, &arguments, &place)?;
    let version = first_line(&program, &["--version"]);
    let version = version.rsplit(' ').next().unwrap_or_default();
    let version = version.trim_start_matches('v');
    let about = format!(
        "NATS {version} JetStream KV, file storage, history 1, loopback TCP, defaults: written when answered, synced every two minutes"
    );
    Started::runs("nats", about, process, place, &[Work::Counts], |number| {
        Box::new(Nats {
            inbox: format!("_INBOX.bench{number}"),
            counter: format!("$KV.bench.counter{number}"),
            sequence: 0,
            counts: false,
        })
    })
}

/// The text protocol of NATS.
struct Nats {
    /// Subject prefix of answers.
    inbox: String,
    /// Subject of this connection's counter.
    counter: String,
    /// Sequence number of the last change of the counter.
    sequence: u64,
    counts: bool,
}

impl Nats {
    fn publish(&self, subject: &str, payload: &[u8], out: &mut Vec<u8>) {
        let head = format!("PUB {subject} {}.r {}\r\n", self.inbox, payload.len());
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
    }

    fn ask(&self, subject: &str, question: &Value, out: &mut Vec<u8>) {
        self.publish(subject, question.to_string().as_bytes(), out);
    }
}

impl Protocol for Nats {
    fn open(&mut self, out: &mut Vec<u8>) -> anyhow::Result<usize> {
        let options = json!({"verbose": false, "headers": true, "no_responders": true});
        let head = format!(
            "CONNECT {options}\r\nSUB {0}.r 1\r\nSUB {0}.w 2\r\nPING\r\n",
            self.inbox
        );
        out.extend_from_slice(head.as_bytes());
        Ok(1)
    }

    fn prepare(&mut self, out: &mut Vec<u8>) -> anyhow::Result<usize> {
        let bucket = json!({
            "name": "KV_bench", "subjects": ["$KV.bench.>"], "max_msgs_per_subject": 1,
            "storage": "file", "num_replicas": 1, "discard": "new", "retention": "limits",
            "allow_direct": true, "allow_rollup_hdrs": true, "deny_delete": true,
        });
        self.ask("$JS.API.STREAM.CREATE.KV_bench", &bucket, out);
        Ok(1)
    }

    fn request(&mut self, action: Action, i: u64, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let key = format!("$KV.bench.key{}", key_of(i));
        match action {
            Action::Put => self.publish(&key, &value_of(i), out),
            Action::Get => {
                let subject = format!("$JS.API.DIRECT.GET.KV_bench.{key}");
                self.publish(&subject, b"", out);
            }
            Action::Count => {
                self.counts = true;
                let condition = format!(
                    "NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: {}\r\n\r\n",
                    self.sequence
                );
                let value = i.to_string();
                let head = format!(
                    "HPUB {} {}.r {} {}\r\n{condition}{value}\r\n",
                    self.counter,
                    self.inbox,
                    condition.len(),
                    condition.len() + value.len()
                );
                out.extend_from_slice(head.as_bytes());
            }
        }
        Ok(())
    }

    fn watch(&mut self, out: &mut Vec<u8>) -> anyhow::Result<usize> {
        let consumer = json!({"stream_name": "KV_bench", "config": {
            "deliver_subject": format!("{}.w", self.inbox), "deliver_policy": "new",
            "ack_policy": "none", "filter_subject": "$KV.bench.>", "max_deliver": 1,
            "mem_storage": true, "num_replicas": 1,
        }});
        self.ask("$JS.API.CONSUMER.CREATE.KV_bench", &consumer, out);
        Ok(1)
    }

    fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> anyhow::Result<(usize, usize)> {
        let (mut taken, mut messages) = (0, 0);
        loop {
            let rest = input.get(taken..).unwrap_or_default();
            let Some(line) = rest.iter().position(|byte| *byte == b'\n') else {
                break;
            };
            let (head, body) = rest.split_at(line + 1);
            let head = std::str::from_utf8(head)?.trim_end();
            let mut words = head.split(' ');
            let length = match words.next() {
                Some("MSG" | "HMSG") => {
                    let length: usize = words.next_back().context("no length")?.parse()?;
                    let Some(message) = body.get(..length + 2) else {
                        break;
                    };
                    self.check(message)?;
                    messages += 1;
                    length + 2
                }
                Some("PONG") => {
                    messages += 1;
                    0
                }
                Some("PING") => {
                    out.extend_from_slice(b"PONG\r\n");
                    0
                }
                Some("INFO" | "+OK") => 0,
                _ => bail!("NATS says {head}"),
            };
            taken += line + 1 + length;
        }
        Ok((taken, messages))
    }
}

impl Nats {
    /// Fails if the message is an error; records the sequence number of the counter.
    fn check(&mut self, message: &[u8]) -> anyhow::Result<()> {
        let refused = message.starts_with(b"NATS/1.0 4")
            || message.starts_with(b"NATS/1.0 5")
            || message.starts_with(b"{\"error\"")
            || message
                .windows(9)
                .take(80)
                .any(|nine| nine == b"\"error\":{");
        ensure!(
            !refused,
            "NATS refuses: {}",
            String::from_utf8_lossy(message)
        );
        if self.counts {
            let answer: Value = serde_json::from_slice(message)?;
            let sequence = answer.get("seq").and_then(Value::as_u64);
            self.sequence = sequence.context("no sequence")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_pings_answered_and_refusals_found() {
        let mut nats = Nats {
            inbox: String::new(),
            counter: String::new(),
            sequence: 0,
            counts: true,
        };
        let mut out = Vec::new();
        let input = b"INFO {}\r\nPING\r\nMSG a 1 9\r\n{\"seq\":7}\r\nPONG\r\nMSG a 1 9\r\n{\"s";
        let (taken, messages) = nats.take(input, &mut out).unwrap();
        assert_eq!((taken, messages, nats.sequence), (input.len() - 14, 2, 7));
        assert_eq!(out, b"PONG\r\n");
        let refused = b"HMSG a 1 14 14\r\nNATS/1.0 404\r\n\r\n";
        assert!(nats.take(refused, &mut out).is_err());
        assert!(nats.take(b"-ERR 'no'\r\n", &mut out).is_err());
    }
}
