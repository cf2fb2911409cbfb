//! `kvs watch --exec`: a command for each event, one after the other.
//!
//! The command finds the event in its environment and, whole, on its standard input. Whatever it
//! reads by the snapshot reference is the state that the event is about, however late it runs.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use kvs_client::{Change, Event};
use tokio::process::{Child, Command};

use super::outlet::Feed;
use crate::limits::EXEC_KEYS_BYTES;
use crate::output::VersionReport;

/// What is run for each event.
#[derive(Debug, Clone)]
pub(super) struct Exec {
    command: String,
    /// Address of the daemon, if it was given on the command line.
    uri: Option<String>,
}

/// A command that runs.
pub(super) struct Running {
    child: Child,
    version: u64,
}

impl Exec {
    /// A command for the shell.
    pub(super) fn new(command: String, uri: Option<String>) -> Self {
        Self { command, uri }
    }

    /// Starts the command for an event, of which `event` may be the first part; the event is to be
    /// fed to it. Its output is ours.
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
    /// Waits for its end.
    ///
    /// # Errors
    /// It ended in failure; the message says how to go on from there.
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

/// The keys that changed, a line each, unless they are too many for an environment.
fn keys(changes: &[Change]) -> Option<String> {
    let mut keys = String::new();
    for (at, change) in changes.iter().enumerate() {
        if at > 0 {
            keys.push('\n');
        }
        keys.push_str(&change.key);
        // No environment holds a zero byte.
        if keys.len() > EXEC_KEYS_BYTES || change.key.contains('\0') {
            return None;
        }
    }
    Some(keys)
}

/// What changed, if all of it is known.
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
