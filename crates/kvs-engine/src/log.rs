//! The log: versions of a namespace with their authors, times and changed keys.

use std::sync::Arc;

use kvs_tree::{Blobref, Key, Scope};

use crate::archive::Scan;
use crate::changes::ChangeKind;
use crate::error::EngineError;
use crate::event::TransactionInfo;
use crate::limits::{LOG_PAGE, LOOK_SLICES, REQUEST_SLICES, WATCH_BATCH};
use crate::namespace::Namespace;
use crate::reference::Position;
use crate::request::Principal;
use crate::skim::Filter;
use crate::store::Store;
use crate::version_changes::{changes_of, transactions_of};

/// One version in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The version and its incarnation.
    pub position: Position,
    /// The root of the version.
    pub root: Blobref,
    /// Time of the commit, in milliseconds since the epoch.
    pub time_ms: u64,
    /// The transactions in it, with their authors.
    pub transactions: Vec<TransactionInfo>,
    /// The changed keys within the scopes, and how they changed; at most
    /// [`LOG_CHANGES`](crate::limits::LOG_CHANGES).
    pub keys: Vec<(Key, ChangeKind)>,
    /// Whether there may be more changes; `keys` may then be empty.
    pub more: bool,
}

/// A page of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    /// Versions that touched the scopes, ascending; may be empty although more follow.
    pub entries: Vec<LogEntry>,
    /// First version of the next page; `None` at the end.
    pub next: Option<u64>,
    /// The oldest version whose record is retained.
    pub oldest: u64,
}

/// At most `limit` versions of `from` to `to` (both included) that touched `scopes`; fewer if
/// finding more would take longer than [`REQUEST_SLICES`]. `from` 0 is the oldest retained version.
/// Works in slices.
///
/// # Errors
/// `Compacted` if `from` is not retained any more.
pub(crate) async fn page(
    store: &Arc<Store>,
    caller: Principal,
    namespace: &Arc<Namespace>,
    (from, to): (u64, u64),
    scopes: &[Scope],
    limit: usize,
) -> Result<LogPage, EngineError> {
    let oldest = namespace.history().oldest() + 1;
    let from = if from == 0 { oldest } else { from };
    let newest = namespace.position().version.min(to);
    let limit = limit.clamp(1, LOG_PAGE);
    let filter = Arc::new(Filter::new(scopes.iter()));
    let scopes: Arc<[Scope]> = scopes.into();
    let mut pace = store.slices.pace(caller);
    let (mut entries, mut group, mut keys) = (Vec::new(), None, 0);
    let mut reached = from;
    loop {
        let scan = look(store, namespace, reached, group, filter.clone()).await?;
        let Some(scan) = scan else { break };
        for record in scan.records.iter().filter(|r| r.version <= newest) {
            if entries.len() >= limit || keys >= LOG_PAGE || pace.ended() >= REQUEST_SLICES {
                break;
            }
            let changed = changes_of(store, namespace, record, &scopes, &mut pace).await?;
            reached = record.version + 1;
            if changed.keys.is_empty() && !changed.more && !scopes.is_empty() {
                continue;
            }
            keys += changed.keys.len();
            entries.push(LogEntry {
                position: namespace.at(record.version),
                root: record.root,
                time_ms: record.time_ms,
                transactions: transactions_of(record),
                keys: changed.keys,
                more: changed.more,
            });
        }
        if entries.len() >= limit || keys >= LOG_PAGE {
            break;
        }
        if pace.ended() < REQUEST_SLICES {
            reached = reached.max(scan.reached + 1);
        }
        pace.spend(1 + scan.records.len()).await;
        if scan.group > 0 {
            pace.beside(LOOK_SLICES);
        }
        if reached > newest || pace.ended() >= REQUEST_SLICES {
            break;
        }
        group = Some(scan.group).filter(|group| *group > 0);
        store.may_read(caller, namespace)?;
    }
    Ok(LogPage {
        entries,
        next: (reached <= newest).then_some(reached),
        oldest,
    })
}

/// Looks for versions from `from` on that may concern the filter; `None` if `from` is not published
/// yet.
async fn look(
    store: &Arc<Store>,
    namespace: &Arc<Namespace>,
    from: u64,
    group: Option<u64>,
    filter: Arc<Filter>,
) -> Result<Option<Scan>, EngineError> {
    let published = namespace.position().version;
    let oldest = namespace.history().oldest();
    if from > published {
        return Ok(None);
    }
    let recent = namespace.history().recent_records(from, WATCH_BATCH);
    if let Some(mut records) = recent.filter(|_| from > oldest) {
        records.retain(|record| record.version <= published);
        let reached = records.last().map_or(published, |record| record.version);
        return Ok(Some(Scan {
            records,
            reached,
            group: 0,
        }));
    }
    let namespace = namespace.clone();
    let work = move |store: &Arc<Store>| store.archive.scan(&namespace, from, group, &filter);
    store.offload(work).await.map(Some)
}
