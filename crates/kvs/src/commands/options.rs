//! Options common to several verbs.

use std::env::VarError;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use kvs_client::{
    Address, At, Client, ClientError, Committed, ConnectionEvent, ConnectionEvents, ErrorCode,
    Options, UnixConnector,
};
use rustix::fs::{Access, access};
use rustix::io::Errno;
use serde_json::Value;

use super::failure::{Kind, explain, failed, refused, say, usage};
use crate::output::Sink;
use crate::quantity::duration;

/// The default namespace.
const PRIMARY: &str = "primary";
/// Environment variables that name a namespace; the first that is set and not empty wins.
const NAMESPACE_VARIABLES: [&str; 2] = ["KVS_NAMESPACE", "FLUX_KVS_NAMESPACE"];

/// Address of the daemon and the default namespace, from the options before the verb.
#[derive(Debug, Clone)]
pub(crate) struct Daemon {
    uri: Option<String>,
    namespace: Option<String>,
}

impl Daemon {
    /// `uri` is `--uri`, `namespace` is `-N` before the verb.
    pub(crate) fn new(uri: Option<String>, namespace: Option<String>) -> Self {
        Self { uri, namespace }
    }

    /// The namespace given to the verb, else before the verb, else by the environment, else
    /// `primary`.
    pub(crate) fn namespace(&self, given: Option<&str>) -> String {
        let from_environment = || {
            NAMESPACE_VARIABLES
                .iter()
                .filter_map(|name| std::env::var(name).ok())
                .find(|name| !name.is_empty())
        };
        given
            .or(self.namespace.as_deref())
            .map(str::to_owned)
            .or_else(from_environment)
            .unwrap_or_else(|| PRIMARY.to_owned())
    }

    /// The address given by option or environment; `None` if the default applies.
    pub(crate) fn explicit_uri(&self) -> Option<String> {
        let variable = || std::env::var("KVS_URI").ok().filter(|uri| !uri.is_empty());
        self.uri.clone().or_else(variable)
    }

    /// The address given on the command line.
    pub(crate) fn uri(&self) -> Option<String> {
        self.uri.clone()
    }

    /// Connects once; `namespace` is the one that will be written to.
    ///
    /// Without an explicit address, tries the user's socket, then the system's.
    pub(crate) async fn connect(&self, namespace: &str) -> Result<Client> {
        let addresses = match &self.uri {
            Some(uri) => Address::parse(uri).map(|address| vec![address]),
            None => Address::candidates(),
        };
        for variable in NAMESPACE_VARIABLES {
            if let Err(VarError::NotUnicode(name)) = std::env::var(variable) {
                let name = name.to_string_lossy().into_owned();
                return Err(usage(format!("{variable}: '{name}' is not UTF-8")));
            }
        }
        // The message says what a valid address looks like.
        let addresses = addresses.map_err(|error| usage(error.message))?;
        let mut tried = Vec::new();
        for address in addresses {
            match connect_to(&address, namespace).await {
                Ok(client) => {
                    let outages = say_outages(client.connection_events(), address.to_string());
                    tokio::spawn(outages);
                    return Ok(client);
                }
                Err(error) if error.code == ErrorCode::Disconnected => {
                    tried.push((address, error.message));
                }
                Err(error) => {
                    let text = format!("cannot connect to {address}: {}", explain(&error));
                    return Err(refused(&error, text));
                }
            }
        }
        Err(unreachable(&tried))
    }
}

/// Connects once to one address.
async fn connect_to(address: &Address, namespace: &str) -> Result<Client, ClientError> {
    let options = Options::new()
        .namespace(namespace)
        .software(concat!("kvs ", env!("CARGO_PKG_VERSION")));
    Client::connect_with(UnixConnector::new(address.clone()), options).await
}

/// The error if no daemon answers: the addresses tried, and the reasons.
fn unreachable(tried: &[(Address, String)]) -> anyhow::Error {
    let forbidden = |(address, _): &&(Address, String)| matches!(address, Address::Unix(path) if access(path, Access::WRITE_OK) == Err(Errno::ACCESS));
    let forbidden = tried.iter().find(forbidden);
    let mut texts = tried.iter().map(|(_, text)| text.as_str());
    let first = texts
        .next()
        .unwrap_or("there is no address to connect to")
        .to_owned();
    let text = texts.fold(first, |all, text| format!("{all}; {text}"));
    match forbidden {
        Some((address, _)) => {
            let advice = "the daemon there serves its own user, unless it is started with \
                          --allow-guests or --guest-group";
            failed(Kind::NotPermitted, format!("{text}; {address}: {advice}"))
        }
        None => {
            let advice = "`kvs serve` starts a daemon; --uri or $KVS_URI names another one";
            failed(Kind::NoDaemon, format!("{text}; {advice}"))
        }
    }
}

/// Reports each time when the connection is lost and when it is restored.
async fn say_outages(mut events: ConnectionEvents, address: String) {
    while let Some(event) = events.recv().await {
        match event {
            ConnectionEvent::Lost => {
                say(&format!("the daemon at {address} is away, waiting for it"));
            }
            ConnectionEvent::Restored => say(&format!("the daemon at {address} is back")),
            _ => {}
        }
    }
}

/// `-N`.
#[derive(Debug, Args)]
pub(crate) struct NamespaceOption {
    /// Namespace to use [default: $KVS_NAMESPACE, else $FLUX_KVS_NAMESPACE, else primary]
    #[arg(short = 'N', long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    namespace: Option<String>,
}

impl NamespaceOption {
    pub(crate) fn name(&self, daemon: &Daemon) -> String {
        daemon.namespace(self.namespace.as_deref())
    }
}

/// `-N` and `-a`, of a verb that reads.
#[derive(Debug, Args)]
pub(crate) struct ReadOptions {
    #[command(flatten)]
    namespace: NamespaceOption,
    /// Read that state instead of the newest: a snapshot reference (NAMESPACE@VERSION:BLOBREF), a
    /// version, or a dirref object or blobref
    #[arg(short, long, value_name = "REF")]
    at: Option<String>,
}

impl ReadOptions {
    /// The namespace and state to read. A snapshot reference contains its namespace.
    pub(crate) fn target(&self, daemon: &Daemon) -> Result<(String, At)> {
        let Some(text) = &self.at else {
            return Ok((self.namespace.name(daemon), At::Current));
        };
        let at = parse_at(text).ok_or_else(|| {
            usage(format!(
                "--at: {}: '{text}' is not a snapshot reference (NAMESPACE@VERSION:BLOBREF), a \
                 version, a blobref or a dirref object",
                ErrorCode::Invalid.text()
            ))
        })?;
        match (
            &at,
            self.namespace
                .namespace
                .as_ref()
                .or(daemon.namespace.as_ref()),
        ) {
            (At::Snapshot(reference), None) => {
                let namespace = reference
                    .rsplit_once('@')
                    .map_or(PRIMARY, |(namespace, _)| namespace);
                Ok((namespace.to_owned(), at))
            }
            _ => Ok((self.namespace.name(daemon), at)),
        }
    }
}

/// How long a command may take.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct TimeoutOption {
    /// Fail after that time, with status 5; such as 10s or 1.5m, a bare number is seconds
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
}

impl TimeoutOption {
    /// Runs `work` with the timeout, if there is one.
    pub(crate) async fn within<T>(
        self,
        verb: &str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let Some(timeout) = self.timeout else {
            return work.await;
        };
        let over = |_| {
            let time = match timeout {
                Duration::ZERO => "0s".to_owned(),
                time => format!("{time:?}"),
            };
            let text = format!("{verb}: timeout: the {time} of --timeout are over");
            failed(Kind::TimedOut, text)
        };
        tokio::time::timeout(timeout, work).await.map_err(over)?
    }
}

/// Parses a version.
pub(crate) fn version(text: &str) -> Result<u64, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let version = text.parse().ok().filter(|_| is_number);
    version.ok_or_else(|| "not a version: a whole number such as 42".to_owned())
}

/// Parses the argument of `--at`; the daemon validates the parts.
fn parse_at(text: &str) -> Option<At> {
    let text = text.trim();
    if text.starts_with('{') {
        return dirref(text).map(|blobref| At::Root(blobref.into()));
    }
    if let Some((namespace, rest)) = text.rsplit_once('@') {
        let (version, blobref) = rest.split_once(':')?;
        let is_reference =
            !namespace.is_empty() && version.parse::<u64>().is_ok() && !blobref.is_empty();
        return is_reference.then(|| At::Snapshot(text.into()));
    }
    if text.starts_with("blake3-") || text.starts_with("sha1-") {
        return Some(At::Root(text.into()));
    }
    text.parse().ok().map(At::Version)
}

/// The blobref in a dirref object.
fn dirref(text: &str) -> Option<String> {
    let object: Value = serde_json::from_str(text).ok()?;
    let is_dirref = object.get("type")?.as_str()? == "dirref" && object.get("ver")?.as_u64()? == 1;
    match object.get("data")?.as_array()?.as_slice() {
        [blobref] if is_dirref => blobref.as_str().map(str::to_owned),
        _ => None,
    }
}

/// The dirref object of a root.
pub(crate) fn dirref_json(blobref: &str) -> String {
    serde_json::json!({ "data": [blobref], "type": "dirref", "ver": 1 }).to_string()
}

/// `-O`, `-b`, `-s`, `--json`, of a verb that writes.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct CommitOutput {
    /// Print the new root as a dirref object
    #[arg(short = 'O', long)]
    treeobj_root: bool,
    /// Print the blobref of the new root
    #[arg(short, long)]
    blobref: bool,
    /// Print the new version
    #[arg(short, long)]
    sequence: bool,
    /// Print namespace, version, root and snapshot as a JSON object
    #[arg(long)]
    pub(super) json: bool,
}

impl CommitOutput {
    /// Prints what the options select of a commit.
    pub(crate) fn print(&self, namespace: &str, version: u64, root: &str) -> Result<()> {
        let mut sink = Sink::new();
        if self.json {
            let line = serde_json::json!({
                "namespace": namespace,
                "version": version,
                "root": root,
                "snapshot": format!("{namespace}@{version}:{root}"),
            });
            sink.line(&line.to_string())?;
        } else if self.treeobj_root {
            sink.line(&dirref_json(root))?;
        } else if self.blobref {
            sink.line(root)?;
        } else if self.sequence {
            sink.line(&version.to_string())?;
        }
        Ok(sink.flush()?)
    }

    /// The same for a reply.
    pub(crate) fn print_committed(&self, committed: &Committed) -> Result<()> {
        let version = committed.position.version;
        self.print(&committed.namespace, version, &committed.root())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_at_is_understood() {
        assert_eq!(
            parse_at("primary@3:blake3-00"),
            Some(At::Snapshot("primary@3:blake3-00".into()))
        );
        assert_eq!(parse_at("blake3-00"), Some(At::Root("blake3-00".into())));
        assert_eq!(parse_at("sha1-00"), Some(At::Root("sha1-00".into())));
        assert_eq!(parse_at("17"), Some(At::Version(17)));
        let object = dirref_json("blake3-00");
        assert_eq!(
            object,
            "{\"data\":[\"blake3-00\"],\"type\":\"dirref\",\"ver\":1}"
        );
        assert_eq!(parse_at(&object), Some(At::Root("blake3-00".into())));
    }

    #[test]
    fn what_names_no_directory_is_no_at() {
        for text in [
            "",
            "x",
            "-1",
            "a@b",
            "a@1",
            "@1:blake3-00",
            "{}",
            "{\"data\":\"\",\"type\":\"val\",\"ver\":1}",
            "{\"data\":[\"a\",\"b\"],\"type\":\"dirref\",\"ver\":1}",
            "{\"data\":[\"a\"],\"type\":\"dirref\",\"ver\":2}",
        ] {
            assert_eq!(parse_at(text), None, "{text}");
        }
    }
}
