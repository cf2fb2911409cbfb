//! The head of a namespace: the tree with all accepted transactions applied, ahead of the published
//! state, and the version that is still being filled.

use std::sync::Arc;

use kvs_tree::{Blobref, Directory, Key, OperationResult, Written};
use smol_str::SmolStr;

use super::draft::VersionDraft;
use super::merge::TouchedKeys;
use crate::answers::{CommitReply, Wakes};
use crate::error::EngineError;
use crate::limits::{VERSION_BYTES, VERSION_TRANSACTIONS};
use crate::namespace::Namespace;
use crate::reference::Position;
use crate::request::{CommitRequest, Committed, Principal, TransactionId};
use crate::state::{TransactionRecord, effect_bytes};

/// A committer that waits for its version to be durable.
struct Waiting {
    id: FullId,
    reply: CommitReply,
    results: Vec<OperationResult>,
}

/// A version that accepts no more transactions and waits to be durable.
#[must_use = "a closed version must be written and then published, or its committers be refused"]
pub(crate) struct ClosedVersion {
    pub(crate) namespace: SmolStr,
    pub(crate) version: u64,
    pub(crate) directory: Directory,
    pub(crate) bytes: usize,
    /// Until it is handed to the journal.
    draft: Option<VersionDraft>,
    waiting: Vec<Waiting>,
}

impl ClosedVersion {
    /// The draft for the journal; `None` after the first call.
    pub(crate) fn take_draft(&mut self) -> Option<VersionDraft> {
        self.draft.take()
    }

    pub(crate) fn answer(self, incarnation: u64, root: Blobref, wakes: &mut Wakes) {
        let position = Position {
            incarnation,
            version: self.version,
        };
        for Waiting { reply, results, .. } in self.waiting {
            // A committer that has disconnected can repeat the transaction.
            let committed = Committed {
                position,
                root,
                results,
            };
            reply.send(Ok(committed), wakes);
        }
    }

    pub(crate) fn refuse(self, error: &EngineError, wakes: &mut Wakes) {
        for waiting in self.waiting {
            waiting.reply.send(Err(error.clone()), wakes);
        }
    }
}

/// The version that transactions may still join.
struct OpenVersion {
    version: u64,
    time_ms: u64,
    stamp: u64,
    touched: TouchedKeys,
    exclusive: bool,
    transactions: Vec<TransactionRecord>,
    waiting: Vec<Waiting>,
    bytes: usize,
}

/// Identifies a transaction across all clients.
pub(crate) type FullId = (Principal, TransactionId);

/// The head of one namespace. Owned by the commit task. What is not in its tree is in the head
/// state.
pub(crate) struct Head {
    pub(crate) namespace: Arc<Namespace>,
    pub(crate) directory: Directory,
    open: Option<OpenVersion>,
}

impl Head {
    pub(crate) fn new(namespace: Arc<Namespace>) -> Self {
        Self {
            directory: namespace.published().directory.clone(),
            open: None,
            namespace,
        }
    }

    /// Drops everything that is not published and answers the committers of the open version with
    /// `error`. Those of closed versions are answered by the owner of the closed version.
    pub(crate) fn refuse(&mut self, error: &EngineError, wakes: &mut Wakes) {
        if let Some(open) = self.open.take() {
            for waiting in open.waiting {
                waiting.reply.send(Err(error.clone()), wakes);
            }
        }
        self.directory = self.namespace.published().directory.clone();
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether a transaction that touches these keys must start a new version although one is open.
    pub(crate) fn must_seal(&self, request: &CommitRequest, touched: &[Key]) -> bool {
        self.open.as_ref().is_some_and(|open| {
            request.no_merge
                || open.exclusive
                || open.transactions.len() >= VERSION_TRANSACTIONS
                || open.bytes >= VERSION_BYTES
                || open.touched.conflict(touched)
        })
    }

    /// Opens a version that transactions may join. No version may be open.
    pub(crate) fn open(&mut self, version: u64, time_ms: u64, stamp: u64) {
        self.open = Some(OpenVersion {
            version,
            time_ms,
            stamp,
            touched: TouchedKeys::default(),
            exclusive: false,
            transactions: Vec::new(),
            waiting: Vec::new(),
            bytes: 128,
        });
    }

    /// Adds a transaction, already applied to the directory, to the open version. Returns its
    /// record; `None` if no version is open.
    pub(crate) fn accept(
        &mut self,
        request: CommitRequest,
        written: Written,
        reply: CommitReply,
    ) -> Option<&TransactionRecord> {
        let open = self.open.as_mut()?;
        let all_done = written.results.iter().all(|r| *r == OperationResult::Done);
        open.exclusive |= request.no_merge;
        open.touched.add(&written.touched);
        open.bytes += 96 + written.effects.iter().map(effect_bytes).sum::<usize>();
        open.transactions.push(TransactionRecord {
            principal: request.caller,
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
            id: (request.caller, request.id),
            reply,
            results: written.results,
        });
        open.transactions.last()
    }

    /// Makes a repeat wait with the first attempt, if its version is still open; else returns the
    /// reply.
    pub(crate) fn join_open(
        &mut self,
        version: u64,
        id: FullId,
        reply: CommitReply,
    ) -> Option<CommitReply> {
        match &mut self.open {
            Some(open) if open.version == version => join(&mut open.waiting, id, reply),
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
                stamp: open.stamp,
                transactions: open.transactions,
                directory: self.directory.clone(),
            }),
            waiting: open.waiting,
        })
    }
}

impl ClosedVersion {
    /// Makes a repeat wait with the first attempt, if that is in this version; else returns the
    /// reply.
    pub(crate) fn join(
        &mut self,
        namespace: &str,
        version: u64,
        id: FullId,
        reply: CommitReply,
    ) -> Option<CommitReply> {
        if self.namespace == namespace && self.version == version {
            return join(&mut self.waiting, id, reply);
        }
        Some(reply)
    }
}

/// Makes a repeat wait with the first attempt. Cost: linear in the version; repeats are rare.
fn join(waiting: &mut Vec<Waiting>, id: FullId, reply: CommitReply) -> Option<CommitReply> {
    let Some(first) = waiting.iter().find(|waiting| waiting.id == id) else {
        return Some(reply);
    };
    let results = first.results.clone();
    waiting.push(Waiting { id, reply, results });
    None
}
