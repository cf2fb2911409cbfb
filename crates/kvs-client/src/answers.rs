//! What calls answer: the wire's answers with times as times. They may get more fields, so only
//! this library makes them.

use crate::error::ClientError;
use crate::time::wall_time;
use kvs_proto as wire;
use kvs_proto::{DirectoryInfo, Entry, FoundAt, ListEntry, OperationResult, Position};
use kvs_tree::Blobref;
use smol_str::{SmolStr, ToSmolStr, format_smolstr};
use std::time::SystemTime;

/// What became of a transaction. When it is there, the commit is as durable as the daemon's mode
/// promises.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Committed {
    /// The namespace that was committed to.
    pub namespace: SmolStr,
    /// The version that holds the transaction.
    pub position: Position,
    /// One result for each operation, in order.
    pub results: Vec<OperationResult>,
    root: Option<Blobref>,
}

impl Committed {
    /// The answer to a commit to that namespace.
    #[inline]
    pub(crate) fn new(answer: wire::CommitAnswer, namespace: &SmolStr) -> Self {
        let wire::CommitAnswer {
            position,
            root,
            results,
        } = answer;
        Committed {
            namespace: namespace.clone(),
            position,
            results,
            root,
        }
    }

    /// A reference to the state that the commit made, whatever was committed since: anybody whom it
    /// is given to reads exactly that ([`Namespace::snapshot`](crate::Namespace::snapshot)), while
    /// it is retained or pinned.
    pub fn snapshot(&self) -> SmolStr {
        let Committed {
            namespace,
            position,
            root,
            ..
        } = self;
        root.map(|root| format_smolstr!("{namespace}@{}:{root}", position.version))
            .unwrap_or_default()
    }

    /// The root of that version, as a blobref.
    pub fn root(&self) -> SmolStr {
        self.root.map(|root| root.to_smolstr()).unwrap_or_default()
    }
}

/// The answer to a lookup. A missing key is no error: then `entry` is `None`, and the rest tells
/// where it is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookupAnswer {
    /// What was found, if anything.
    pub entry: Option<Entry>,
    /// The namespace where it was found, links followed.
    pub namespace: SmolStr,
    /// The key where it was found, links followed.
    pub key: SmolStr,
    /// The position of that namespace that was read. Version 0 of incarnation 0 when a bare root
    /// was read.
    pub position: Position,
    /// The root that was read, as a blobref, if the lookup asked for it
    /// ([`LookupOptions::root`](crate::LookupOptions::root)) or found a value whose bytes did not
    /// come along; else empty.
    pub root: SmolStr,
    /// A reference to the state that was read, where the root is told. Empty when a bare root was
    /// read.
    pub snapshot: SmolStr,
    /// The tree object as JSON, if it was asked for.
    pub treeobj: Option<String>,
}

impl LookupAnswer {
    /// The answer to a lookup of `key` in `namespace`.
    #[inline]
    pub(crate) fn new(answer: wire::LookupAnswer, namespace: &SmolStr, key: &SmolStr) -> Self {
        let wire::LookupAnswer {
            position,
            entry,
            root,
            place,
            treeobj,
        } = answer;
        let (namespace, key) = match place {
            Some(FoundAt { namespace, key }) => (namespace, key),
            None => (namespace.clone(), key.clone()),
        };
        let (root, snapshot) = match root {
            None => (SmolStr::default(), SmolStr::default()),
            Some(root) if position.incarnation == 0 => (root.to_smolstr(), SmolStr::default()),
            Some(root) => {
                let snapshot = format_smolstr!("{namespace}@{}:{root}", position.version);
                (root.to_smolstr(), snapshot)
            }
        };
        LookupAnswer {
            entry,
            namespace,
            key,
            position,
            root,
            snapshot,
            treeobj,
        }
    }
}

/// What became of one key of a [`lookup_many`](crate::Namespace::lookup_many).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookedUp {
    /// Nothing is there.
    Absent,
    /// This is there.
    Found(Entry),
    /// It cannot be looked up: the key is malformed, or a link on the way leads in a circle or
    /// where the caller may not read.
    Failed(ClientError),
}

impl From<wire::LookedUp> for LookedUp {
    fn from(one: wire::LookedUp) -> Self {
        match one {
            wire::LookedUp::Absent => LookedUp::Absent,
            wire::LookedUp::Found(entry) => LookedUp::Found(entry),
            wire::LookedUp::Failed(error) => LookedUp::Failed(error.into()),
        }
    }
}

/// The answer to a lookup of many keys.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookupManyAnswer {
    /// One for each key, in their order; if the answer would be too long, for the first of them
    /// only, at least one.
    pub results: Vec<LookedUp>,
    /// The position that was read.
    pub position: Position,
    /// The root that was read, as a blobref.
    pub root: SmolStr,
    /// A reference to the state that was read. Empty when a bare root was read.
    pub snapshot: SmolStr,
}

impl From<wire::LookupManyAnswer> for LookupManyAnswer {
    fn from(answer: wire::LookupManyAnswer) -> Self {
        let wire::LookupManyAnswer {
            results,
            position,
            root,
            snapshot,
        } = answer;
        LookupManyAnswer {
            results: results.into_iter().map(Into::into).collect(),
            position,
            root,
            snapshot,
        }
    }
}

/// A page of a directory, or all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListAnswer {
    /// The entries, sorted, each directory before what is in it.
    pub entries: Vec<ListEntry>,
    /// Whether more follow.
    pub more: bool,
    /// Where the next page begins: the `after` of its [`ListOptions`](crate::ListOptions). `None`
    /// at the end.
    pub next: Option<SmolStr>,
    /// The namespace of the directory, links followed.
    pub namespace: SmolStr,
    /// The key of the directory, links followed.
    pub key: SmolStr,
    /// The position that was read.
    pub position: Position,
    /// The root that was read, as a blobref.
    pub root: SmolStr,
    /// A reference to the state that was read. Empty when a bare root was read.
    pub snapshot: SmolStr,
}

impl From<wire::ListAnswer> for ListAnswer {
    fn from(answer: wire::ListAnswer) -> Self {
        let wire::ListAnswer {
            entries,
            more,
            next,
            namespace,
            key,
            position,
            root,
            snapshot,
        } = answer;
        // A daemon that does not tell gives no empty page.
        let last = || entries.last().map(|entry| entry.key.clone());
        let next = next.or_else(last).filter(|_| more);
        ListAnswer {
            entries,
            more,
            next,
            namespace,
            key,
            position,
            root,
            snapshot,
        }
    }
}

/// A range of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadAnswer {
    /// The bytes; empty at or after the end.
    pub bytes: bytes::Bytes,
    /// Length of the whole value.
    pub size: u64,
    /// The position that was read.
    pub position: Position,
    /// A reference to the state that was read. Empty when a bare root was read.
    pub snapshot: SmolStr,
}

impl From<wire::ReadAnswer> for ReadAnswer {
    fn from(answer: wire::ReadAnswer) -> Self {
        let wire::ReadAnswer {
            bytes,
            size,
            position,
            snapshot,
        } = answer;
        ReadAnswer {
            bytes,
            size,
            position,
            snapshot,
        }
    }
}

/// A state of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InfoAnswer {
    /// The namespace.
    pub namespace: SmolStr,
    /// The position.
    pub position: Position,
    /// The root, as a blobref.
    pub root: SmolStr,
    /// A reference to that state.
    pub snapshot: SmolStr,
    /// When that version was made.
    pub time: SystemTime,
    /// User id of the namespace's owner.
    pub owner: u32,
    /// Counts of the root directory.
    pub directory: DirectoryInfo,
}

impl From<wire::InfoAnswer> for InfoAnswer {
    fn from(answer: wire::InfoAnswer) -> Self {
        let wire::InfoAnswer {
            namespace,
            position,
            root,
            snapshot,
            time_ms,
            owner,
            directory,
        } = answer;
        InfoAnswer {
            namespace,
            position,
            root,
            snapshot,
            time: wall_time(time_ms),
            owner,
            directory,
        }
    }
}
