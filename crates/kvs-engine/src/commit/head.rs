//! The head of a namespace: the tree with every accepted transaction applied, ahead of what is
//! published, and the version that is still being filled.

use std::collections::HashMap;
use std::sync::Arc;

use kvs_tree::{Applied, Blobref, Directory, OperationResult, StoreParams};
use tokio::sync::oneshot;

use super::merge::TouchedKeys;
use crate::error::EngineError;
use crate::history::RootAt;
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

/// A version that was sealed and waits to be durable.
#[must_use = "a sealed version must be written and then published, or its committers be refused"]
pub(crate) struct SealedVersion {
    pub(crate) record: Arc<VersionRecord>,
    pub(crate) root: RootAt,
    pub(crate) bytes: usize,
    waiting: Vec<Waiting>,
}

impl SealedVersion {
    pub(crate) fn answer(self, incarnation: u64) {
        let position = Position {
            incarnation,
            version: self.record.version,
        };
        for Waiting { reply, results } in self.waiting {
            // A committer that went away can ask again under the same id.
            let _ = reply.send(Ok(Committed {
                position,
                root: self.record.root,
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

/// Names a transaction across all clients.
pub(crate) type FullId = (u32, TransactionId);

/// One namespace's head. Owned by the commit task.
pub(crate) struct Head {
    pub(crate) namespace: Arc<Namespace>,
    pub(crate) directory: Directory,
    pub(crate) version: u64,
    open: Option<OpenVersion>,
    /// Transactions that are not published yet, and in which version they are.
    unpublished: HashMap<FullId, u64>,
    /// Who owns the namespace once everything is in the journal that is on its way there.
    pub(crate) owner: u32,
    /// A removal is on its way into the journal.
    pub(crate) removing: bool,
}

impl Head {
    pub(crate) fn new(namespace: Arc<Namespace>) -> Self {
        let mut head = Self {
            directory: Directory::empty(),
            version: 0,
            open: None,
            unpublished: HashMap::new(),
            owner: namespace.owner(),
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

    /// Whether the transaction must start a version of its own although one is open.
    pub(crate) fn must_seal(&self, request: &CommitRequest, applied: &Applied) -> bool {
        self.open.as_ref().is_some_and(|open| {
            request.no_merge
                || open.exclusive
                || open.transactions.len() >= VERSION_TRANSACTIONS
                || open.bytes >= VERSION_BYTES
                || open.touched.conflict(&applied.touched)
        })
    }

    /// Takes an applied transaction into the open version, opening one if there is none.
    pub(crate) fn accept(
        &mut self,
        request: CommitRequest,
        applied: Applied,
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
        self.unpublished.insert(id, open.version);
        self.directory = applied.root;
        let all_done = applied.results.iter().all(|r| *r == OperationResult::Done);
        open.exclusive |= request.no_merge;
        open.touched.add(&applied.touched);
        open.bytes += 96 + applied.effects.iter().map(effect_bytes).sum::<usize>();
        open.transactions.push(TransactionRecord {
            uid: request.caller.uid,
            client: request.id.client,
            number: request.id.number,
            acknowledged: request.acknowledged,
            name: request.name,
            results: if all_done {
                Vec::new()
            } else {
                applied.results.clone()
            },
            operations: u32::try_from(applied.results.len()).unwrap_or(u32::MAX),
            effects: applied.effects,
        });
        open.waiting.push(Waiting {
            reply,
            results: applied.results,
        });
    }

    /// The unpublished version that holds the transaction, if there is one.
    pub(crate) fn pending(&self, id: &FullId) -> Option<u64> {
        self.unpublished.get(id).copied()
    }

    /// Answers a repeat together with the first, if its version is still open.
    pub(crate) fn join_open(&mut self, id: &FullId, reply: CommitReply) -> Option<CommitReply> {
        match &mut self.open {
            Some(open) => join(&open.transactions, &mut open.waiting, id, reply),
            None => Some(reply),
        }
    }

    /// Closes the open version: computes its root. Cost: hashing of the changed nodes.
    pub(crate) fn seal(&mut self, params: &StoreParams) -> Option<SealedVersion> {
        let open = self.open.take()?;
        let root: Blobref = self.directory.seal(params);
        let record = Arc::new(VersionRecord {
            namespace: self.namespace.name.clone(),
            incarnation: self.namespace.incarnation,
            version: open.version,
            root,
            time_ms: open.time_ms,
            transactions: open.transactions,
        });
        let root = RootAt {
            version: open.version,
            time_ms: open.time_ms,
            directory: self.directory.clone(),
            root,
        };
        Some(SealedVersion {
            record,
            root,
            bytes: open.bytes,
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

impl SealedVersion {
    /// Answers a repeat together with the first, if it is in this version.
    pub(crate) fn join(&mut self, id: &FullId, reply: CommitReply) -> Option<CommitReply> {
        join(&self.record.transactions, &mut self.waiting, id, reply)
    }
}

fn join(
    transactions: &[TransactionRecord],
    waiting: &mut Vec<Waiting>,
    id: &FullId,
    reply: CommitReply,
) -> Option<CommitReply> {
    let found = transactions.iter().find(|t| (t.uid, t.id()) == *id);
    match found {
        Some(transaction) => {
            let results = transaction.all_results();
            waiting.push(Waiting { reply, results });
            None
        }
        None => Some(reply),
    }
}
