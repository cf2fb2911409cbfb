//! What the daemon lists: versions, namespaces and pins; and what it says of itself.

use crate::time::wall_time;
use kvs_proto as wire;
use kvs_proto::{LogChange, Position, ServerLimits, TransactionInfo};
use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// A page of versions, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogAnswer {
    /// The versions.
    pub versions: Vec<LogVersion>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<u64>,
    /// The oldest retained version.
    pub oldest: u64,
    /// The newest version.
    pub newest: u64,
}

impl From<wire::LogAnswer> for LogAnswer {
    fn from(answer: wire::LogAnswer) -> Self {
        let wire::LogAnswer {
            versions,
            next,
            oldest,
            newest,
        } = answer;
        LogAnswer {
            versions: versions.into_iter().map(Into::into).collect(),
            next,
            oldest,
            newest,
        }
    }
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogVersion {
    /// Its position.
    pub position: Position,
    /// Its root, as a blobref.
    pub root: SmolStr,
    /// When it was made.
    pub time: SystemTime,
    /// The transactions that it holds, in order.
    pub transactions: Vec<TransactionInfo>,
    /// The keys inside the scopes that it changed.
    pub changes: Vec<LogChange>,
    /// Whether it may have changed more keys than these: there were too many to look at.
    pub more: bool,
}

impl From<wire::LogVersion> for LogVersion {
    fn from(version: wire::LogVersion) -> Self {
        let wire::LogVersion {
            position,
            root,
            time_ms,
            transactions,
            changes,
            more,
        } = version;
        LogVersion {
            position,
            root,
            time: wall_time(time_ms),
            transactions,
            changes,
            more,
        }
    }
}

/// A namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamespaceInfo {
    /// Its name.
    pub name: SmolStr,
    /// User id of its owner.
    pub owner: u32,
    /// Flag bits; none are defined yet.
    pub flags: u32,
    /// Its newest position.
    pub position: Position,
    /// User ids that may read it although they do not own it; told to its owner and the instance
    /// owner only.
    pub readers: Vec<u32>,
}

impl From<wire::NamespaceInfo> for NamespaceInfo {
    fn from(info: wire::NamespaceInfo) -> Self {
        let wire::NamespaceInfo {
            name,
            owner,
            flags,
            position,
            readers,
        } = info;
        NamespaceInfo {
            name,
            owner,
            flags,
            position,
            readers,
        }
    }
}

/// A pin: what keeps a snapshot readable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PinInfo {
    /// Its id, unique in the store.
    pub id: u64,
    /// A reference to the state that it keeps.
    pub snapshot: SmolStr,
    /// User id of who pinned it.
    pub uid: u32,
    /// How long its lease is. `None`: until it is unpinned.
    pub lease: Option<Duration>,
    /// How much of its lease is left; less by the time that the answer took. A start of the daemon
    /// begins the lease anew. `None`: until it is unpinned.
    pub left: Option<Duration>,
}

impl From<wire::PinInfo> for PinInfo {
    fn from(pin: wire::PinInfo) -> Self {
        let wire::PinInfo {
            id,
            snapshot,
            uid,
            lease_ms,
            left_ms,
        } = pin;
        PinInfo {
            id,
            snapshot,
            uid,
            lease: lease_ms.map(Duration::from_millis),
            left: left_ms.map(Duration::from_millis),
        }
    }
}

/// How the daemon is: for people and dashboards. Names may come and go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusAnswer {
    /// Numbers, each under a name that ends in its unit (`journal_bytes`, `uptime_ms`,
    /// `connections`).
    pub counters: BTreeMap<SmolStr, u64>,
    /// Texts (`software`, `store`, `durability`).
    pub texts: BTreeMap<SmolStr, String>,
}

impl From<wire::StatusAnswer> for StatusAnswer {
    fn from(status: wire::StatusAnswer) -> Self {
        let wire::StatusAnswer { counters, texts } = status;
        StatusAnswer { counters, texts }
    }
}

/// What the daemon said of itself when the client first connected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerInfo {
    /// The protocol version that is spoken.
    pub version: u32,
    /// The user id that the kernel told the daemon for this process: the client's rights.
    pub uid: u32,
    /// Hash algorithm of the store: `blake3` or `sha1`.
    pub algorithm: SmolStr,
    /// Name and version of the daemon.
    pub software: SmolStr,
    /// The limits of a connection.
    pub limits: ServerLimits,
    /// Whether the daemon is there for one command only: when it is gone nobody will start it
    /// again.
    pub temporary: bool,
}

impl From<wire::HelloAnswer> for ServerInfo {
    fn from(hello: wire::HelloAnswer) -> Self {
        let wire::HelloAnswer {
            version,
            uid,
            algorithm,
            software,
            limits,
            positions: _,
            temporary,
        } = hello;
        ServerInfo {
            version,
            uid,
            algorithm,
            software,
            limits,
            temporary,
        }
    }
}
