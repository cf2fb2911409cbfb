//! The log: versions of a namespace, who made them, when, and which keys they changed.

use std::sync::Arc;

use kvs_tree::{Blobref, Key, Scope};

use crate::changes::ChangeKind;
use crate::error::EngineError;
use crate::event::TransactionInfo;
use crate::limits::LOG_PAGE;
use crate::namespace::Namespace;
use crate::reference::Position;
use crate::store::Store;
use crate::told::{changes_of, transactions_of};

/// One version in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The version.
    pub position: Position,
    /// The root after it.
    pub root: Blobref,
    /// When it was committed, in milliseconds since the epoch.
    pub time_ms: u64,
    /// Who made it.
    pub transactions: Vec<TransactionInfo>,
    /// The keys that it changed within the scopes, and how.
    pub keys: Vec<(Key, ChangeKind)>,
}

/// A page of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    /// Versions that touched the scopes, ascending.
    pub entries: Vec<LogEntry>,
    /// The version to ask for next; `None` at the end.
    pub next: Option<u64>,
    /// The oldest version whose record is retained.
    pub oldest: u64,
}

/// Versions `from` to `to` (both included) that touched `scopes`, at most `limit` looked at.
///
/// # Errors
/// `Compacted` if `from` is not retained any more; 0 stands for the oldest retained.
pub(crate) async fn page(
    store: &Arc<Store>,
    namespace: &Arc<Namespace>,
    from: u64,
    to: u64,
    scopes: &[Scope],
    limit: usize,
) -> Result<LogPage, EngineError> {
    let oldest = namespace.history().oldest() + 1;
    let from = if from == 0 { oldest } else { from };
    let newest = namespace.position().version.min(to);
    let limit = limit.clamp(1, LOG_PAGE);
    let work = {
        let namespace = namespace.clone();
        move |store: &Arc<Store>| store.archive.records(&namespace, from, limit)
    };
    let records = store.offload(work).await?;
    let mut entries = Vec::new();
    let mut reached = from;
    for record in records.iter().filter(|r| r.version <= newest) {
        reached = record.version + 1;
        let changes = changes_of(store, namespace, record, scopes).await?;
        if changes.is_empty() && !scopes.is_empty() {
            continue;
        }
        entries.push(LogEntry {
            position: namespace.at(record.version),
            root: record.root,
            time_ms: record.time_ms,
            transactions: transactions_of(record),
            keys: changes.into_iter().map(|c| (c.key, c.kind)).collect(),
        });
    }
    let more = reached <= newest && !records.is_empty();
    Ok(LogPage {
        entries,
        next: more.then_some(reached),
        oldest,
    })
}
