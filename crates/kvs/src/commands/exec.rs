//! `kvs watch --exec`: a command for each event, one after the other.
//!
//! The command finds the event in its environment and, whole, on its standard input. Whatever it
//! reads by the snapshot reference is the state that the event is about, however late it runs.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::limits::EXEC_KEYS_BYTES;
use crate::output::VersionReport;

/// What is run for each event.
#[derive(Debug, Clone)]
pub(super) struct Exec {
    command: String,
    /// Address of the daemon, if it was given on the command line.
    uri: Option<String>,
}

impl Exec {
    /// A command for the shell.
    pub(super) fn new(command: String, uri: Option<String>) -> Self {
        Self { command, uri }
    }

    /// Runs the command for an event and waits for its end. Its output is ours.
    ///
    /// # Errors
    /// It could not be started, or ended in failure; the message says how to go on from there.
    pub(super) async fn run(&self, event: VersionReport) -> Result<()> {
        let keys = keys(&event);
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", &self.command])
            .env("KVS_NAMESPACE", &event.namespace)
            .env("KVS_VERSION", event.version.to_string())
            .env("KVS_ROOT", &event.root)
            .env("KVS_SNAPSHOT", event.snapshot())
            .stdin(Stdio::piped());
        match keys {
            Some(keys) => command.env("KVS_KEYS", keys),
            None => command.env_remove("KVS_KEYS"),
        };
        if let Some(uri) = &self.uri {
            command.env("KVS_URI", uri);
        }
        let mut line = event.json()?;
        line.push('\n');
        let mut child = command.spawn().context("watch: cannot run the command")?;
        let stdin = child.stdin.take();
        let feed = async {
            if let Some(mut stdin) = stdin {
                // Whoever does not want to read it need not.
                let _ = stdin.write_all(line.as_bytes()).await;
            }
        };
        let ((), status) = tokio::join!(feed, child.wait());
        let status = status.context("watch: cannot wait for the command")?;
        if !status.success() {
            let version = event.version;
            bail!(
                "watch: the command failed ({status}) at version {version}: --from {version} goes on there"
            );
        }
        Ok(())
    }
}

/// The keys that changed, a line each, unless they are too many for an environment.
fn keys(event: &VersionReport) -> Option<String> {
    let keys: Vec<&str> = event.changes.iter().map(|one| one.key.as_str()).collect();
    let keys = keys.join("\n");
    // No environment holds a zero byte.
    (keys.len() <= EXEC_KEYS_BYTES && !keys.contains('\0')).then_some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::ChangeReport;

    fn event(keys: impl IntoIterator<Item = String>) -> VersionReport {
        let change = |key| ChangeReport {
            key,
            kind: "put",
            value: None,
            previous: None,
            offset: None,
        };
        VersionReport {
            namespace: "primary".into(),
            version: 1,
            root: "blake3-00".into(),
            time: None,
            initial: false,
            differences: false,
            skipped: 0,
            behind: None,
            who: Vec::new(),
            changes: keys.into_iter().map(change).collect(),
        }
    }

    #[test]
    fn keys_stand_a_line_each_unless_they_are_too_many() {
        assert_eq!(keys(&event(["a".into(), "b c".into()])).unwrap(), "a\nb c");
        assert_eq!(keys(&event([])).unwrap(), "");
        let long = (0..1000).map(|n| format!("{n}{}", "k".repeat(100)));
        assert_eq!(keys(&event(long)), None);
    }
}
