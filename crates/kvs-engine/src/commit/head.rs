//! The head of a namespace: the tree with every accepted transaction applied, ahead of what is
//! published, and the version that is still being filled.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;
use kvs_tree::{Blobref, Directory, Key, OperationResult, Written};
use smol_str::SmolStr;
use tokio::sync::oneshot;

use super::draft::VersionDraft;
use super::merge::TouchedKeys;
use crate::error::EngineError;
use crate::limits::{VERSION_BYTES, VERSION_TRANSACTIONS};
use crate::namespace::Namespace;
use crate::record::{TransactionRecord, VersionRecord, effect_bytes};
use crate::reference::Position;
use crate::request::{CommitRequest, Committed, TransactionId};

/// Where the answer to a commit goes.
pub(crate) type CommitReply = oneshot::Sender<Result<Committed, EngineError>>;

/// A committer that waits for its version to be durable.
struct Waiting {
    reply: CommitReply,
    results: Vec<OperationResult>,
}

/// A version that takes no more transactions and waits to be durable.
#[must_use = "a closed version must be written and then published, or its committers be refused"]
pub(crate) struct ClosedVersion {
    pub(crate) namespace: SmolStr,
    pub(crate) version: u64,
    pub(crate) directory: Directory,
    pub(crate) bytes: usize,
    /// Until it is given to the journal.
    draft: Option<VersionDraft>,
    waiting: Vec<Waiting>,
}

impl ClosedVersion {
    /// What the journal needs of it, once.
    pub(crate) fn take_draft(&mut self) -> Option<VersionDraft> {
        self.draft.take()
    }

    pub(crate) fn answer(self, incarnation: u64, root: Blobref) {
        let position = Position {
            incarnation,
            version: self.version,
        };
        for Waiting { reply, results } in self.waiting.into_iter().rev() {
            // A committer that went away can ask again under the same id.
            let _ = reply.send(Ok(Committed {
                position,
                root,
                results,
            }));
        }
    }

    pub(crate) fn refuse(self, error: &EngineError) {
        for waiting in self.waiting {
            let _ = waiting.reply.send(Err(error.clone()));
        }
    }
}

/// The version that transactions may still join.
struct OpenVersion {
    version: u64,
    time_ms: u64,
    touched: TouchedKeys,
    exclusive: bool,
    transactions: Vec<TransactionRecord>,
    waiting: Vec<Waiting>,
    bytes: usize,
}

/// Where a transaction is that is not published yet.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    version: u64,
    /// Its committer among those that wait for that version.
    index: usize,
}

/// Names a transaction across all clients.
pub(crate) type FullId = (u32, TransactionId);

/// One namespace's head. Owned by the commit task.
pub(crate) struct Head {
    pub(crate) namespace: Arc<Namespace>,
    pub(crate) directory: Directory,
    pub(crate) version: u64,
    open: Option<OpenVersion>,
    /// Transactions that are not published yet.
    unpublished: HashMap<FullId, Place, RandomState>,
    /// Who owns the namespace once everything is in the journal that is on its way there.
    pub(crate) owner: u32,
    /// Who may read it although they do not own it, likewise.
    pub(crate) readers: BTreeSet<u32>,
    /// A removal is on its way into the journal.
    pub(crate) removing: bool,
}

impl Head {
    pub(crate) fn new(namespace: Arc<Namespace>) -> Self {
        let mut head = Self {
            directory: Directory::empty(),
            version: 0,
            open: None,
            unpublished: HashMap::default(),
            owner: namespace.owner(),
            readers: BTreeSet::new(),
            removing: false,
            namespace,
        };
        head.reset();
        head
    }

    /// Back to what is published: everything accepted since is dropped. The committers of sealed
    /// versions are answered by whoever holds those.
    fn reset(&mut self) {
        let published = self.namespace.published();
        self.directory = published.directory.clone();
        self.version = published.version;
        self.open = None;
        self.unpublished.clear();
        self.owner = self.namespace.owner();
        self.readers = self.namespace.readers().into_iter().collect();
        self.removing = false;
    }

    /// Drops everything that is not published and answers its committers with `error`.
    pub(crate) fn refuse(&mut self, error: &EngineError) {
        if let Some(open) = self.open.take() {
            for waiting in open.waiting {
                let _ = waiting.reply.send(Err(error.clone()));
            }
        }
        self.reset();
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether a transaction that touches these keys must start a version of its own although one is open.
    pub(crate) fn must_seal(&self, request: &CommitRequest, touched: &[Key]) -> bool {
        self.open.as_ref().is_some_and(|open| {
            request.no_merge
                || open.exclusive
                || open.transactions.len() >= VERSION_TRANSACTIONS
                || open.bytes >= VERSION_BYTES
                || open.touched.conflict(touched)
        })
    }

    /// Takes a transaction that is in the directory into the open version, opening one if there is none.
    pub(crate) fn accept(
        &mut self,
        request: CommitRequest,
        written: Written,
        time_ms: u64,
        reply: CommitReply,
    ) {
        let open = self.open.get_or_insert_with(|| {
            self.version += 1;
            OpenVersion {
                version: self.version,
                time_ms,
                touched: TouchedKeys::default(),
                exclusive: false,
                transactions: Vec::new(),
                waiting: Vec::new(),
                bytes: 128,
            }
        });
        let id = (request.caller.uid, request.id);
        let place = Place {
            version: open.version,
            index: open.waiting.len(),
        };
        self.unpublished.insert(id, place);
        let all_done = written.results.iter().all(|r| *r == OperationResult::Done);
        open.exclusive |= request.no_merge;
        open.touched.add(&written.touched);
        open.bytes += 96 + written.effects.iter().map(effect_bytes).sum::<usize>();
        open.transactions.push(TransactionRecord {
            uid: request.caller.uid,
            client: request.id.client,
            number: request.id.number,
            acknowledged: request.acknowledged,
            name: request.name,
            results: if all_done {
                Vec::new()
            } else {
                written.results.clone()
            },
            operations: u32::try_from(written.results.len()).unwrap_or(u32::MAX),
            effects: written.effects,
        });
        open.waiting.push(Waiting {
            reply,
            results: written.results,
        });
    }

    /// Where the transaction is, if it is in a version that is not published.
    pub(crate) fn pending(&self, id: &FullId) -> Option<Place> {
        self.unpublished.get(id).copied()
    }

    /// Answers a repeat together with the first, if its version is still open.
    pub(crate) fn join_open(&mut self, place: Place, reply: CommitReply) -> Option<CommitReply> {
        match &mut self.open {
            Some(open) if open.version == place.version => join(&mut open.waiting, place, reply),
            _ => Some(reply),
        }
    }

    /// Closes the open version. Its root is computed when it is written.
    pub(crate) fn close(&mut self) -> Option<ClosedVersion> {
        let open = self.open.take()?;
        Some(ClosedVersion {
            namespace: self.namespace.name.clone(),
            version: open.version,
            directory: self.directory.clone(),
            bytes: open.bytes,
            draft: Some(VersionDraft {
                namespace: self.namespace.name.clone(),
                incarnation: self.namespace.incarnation,
                version: open.version,
                time_ms: open.time_ms,
                transactions: open.transactions,
                directory: self.directory.clone(),
            }),
            waiting: open.waiting,
        })
    }

    /// Notes that a version is published: its transactions are remembered elsewhere now.
    pub(crate) fn published(&mut self, record: &VersionRecord) {
        for transaction in &record.transactions {
            self.unpublished
                .remove(&(transaction.uid, transaction.id()));
        }
    }
}

impl ClosedVersion {
    /// Answers a repeat together with the first, if it is in this version.
    pub(crate) fn join(
        &mut self,
        namespace: &str,
        place: Place,
        reply: CommitReply,
    ) -> Option<CommitReply> {
        if self.namespace == namespace && self.version == place.version {
            return join(&mut self.waiting, place, reply);
        }
        Some(reply)
    }
}

fn join(waiting: &mut Vec<Waiting>, place: Place, reply: CommitReply) -> Option<CommitReply> {
    let Some(first) = waiting.get(place.index) else {
        return Some(reply);
    };
    let results = first.results.clone();
    waiting.push(Waiting { reply, results });
    None
}
