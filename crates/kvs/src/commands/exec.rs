//! `kvs watch --exec`: runs a command for each event, one after the other.
//!
//! The command receives the event in its environment and, in full, on standard input. Its reads at
//! the snapshot reference see the state of the event, however late it runs.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use kvs_client::{Change, Event};
use tokio::process::{Child, Command};

use super::outlet::Feed;
use crate::limits::EXEC_KEYS_BYTES;
use crate::output::VersionReport;

#[derive(Debug, Clone)]
pub(super) struct Exec {
    command: String,
    /// Address of the daemon, if the command line has one.
    uri: Option<String>,
}

/// A running command.
pub(super) struct Running {
    child: Child,
    version: u64,
}

impl Exec {
    pub(super) fn new(command: String, uri: Option<String>) -> Self {
        Self { command, uri }
    }

    /// Starts the command. `event` may be the first part of an event, which the caller writes to
    /// the returned feed. The command inherits standard output and error.
    pub(super) fn start(&self, report: &VersionReport, event: &Event) -> Result<(Running, Feed)> {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", &self.command])
            .env("KVS_NAMESPACE", &report.namespace)
            .env("KVS_VERSION", report.version.to_string())
            .env("KVS_ROOT", &report.root)
            .env("KVS_SNAPSHOT", report.snapshot())
            .stdin(Stdio::piped());
        match all_changes(event).and_then(keys) {
            Some(keys) => command.env("KVS_KEYS", keys),
            None => command.env_remove("KVS_KEYS"),
        };
        if let Some(uri) = &self.uri {
            command.env("KVS_URI", uri);
        }
        let mut child = command.spawn().context("watch: cannot run the command")?;
        let feed = Feed::new(child.stdin.take());
        let version = report.version;
        Ok((Running { child, version }, feed))
    }
}

impl Running {
    /// Waits until the command has ended.
    ///
    /// # Errors
    /// The command failed; the message says how to continue from there.
    pub(super) async fn wait(mut self) -> Result<()> {
        let status = self.child.wait().await;
        let status = status.context("watch: cannot wait for the command")?;
        if !status.success() {
            let version = self.version;
            bail!(
                "watch: the command failed ({status}) at version {version}: --from {version} goes on there"
            );
        }
        Ok(())
    }
}

/// The changed keys, one per line; `None` if they do not fit in an environment variable.
fn keys(changes: &[Change]) -> Option<String> {
    let mut keys = String::new();
    for (at, change) in changes.iter().enumerate() {
        if at > 0 {
            keys.push('\n');
        }
        keys.push_str(&change.key);
        // Environment variables cannot contain a zero byte.
        if keys.len() > EXEC_KEYS_BYTES || change.key.contains('\0') {
            return None;
        }
    }
    Some(keys)
}

/// The changes of an event that is complete.
fn all_changes(event: &Event) -> Option<&[Change]> {
    match event {
        Event::Initial(state) if state.last => Some(&state.entries),
        Event::Changes(version) if version.last => Some(&version.changes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvs_client::{ChangeKind, ChangeValue};

    fn changes(keys: impl IntoIterator<Item = String>) -> Vec<Change> {
        let change = |key| Change::new(key, ChangeKind::Put, ChangeValue::None);
        keys.into_iter().map(change).collect()
    }

    #[test]
    fn keys_stand_a_line_each_unless_they_are_too_many() {
        let two = changes(["a".into(), "b c".into()]);
        assert_eq!(keys(&two).unwrap(), "a\nb c");
        assert_eq!(keys(&[]).unwrap(), "");
        assert_eq!(keys(&changes(["a\0".into()])), None);
        let long = (0..1000).map(|n| format!("{n}{}", "k".repeat(100)));
        assert_eq!(keys(&changes(long)), None);
    }
}
