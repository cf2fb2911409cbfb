//! Events: what a watch is told of a version, and how that is made from the version's record.

use std::sync::Arc;

use kvs_tree::{Blobref, NodeSource, Scope};
use smol_str::SmolStr;

use crate::changes::{Between, KeyChange, changes, needs_roots};
use crate::error::EngineError;
use crate::limits::{EVENT_BYTES, EVENT_CHANGES};
use crate::namespace::Namespace;
use crate::record::VersionRecord;
use crate::reference::Position;
use crate::store::Store;
use crate::view::root_of;

/// Who made a version: one for each transaction that was merged into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionInfo {
    /// Who committed it.
    pub uid: u32,
    /// The client that sent it.
    pub client: [u8; 16],
    /// Its number among that client's transactions.
    pub number: u64,
    /// The name that the client gave it.
    pub name: Option<SmolStr>,
}

/// What a watch delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// A page of the state of the scope at a position, before any change.
    Initial {
        /// The state's position.
        position: Position,
        /// Its root.
        root: Blobref,
        /// When it was committed.
        time_ms: u64,
        /// What stands in the scope.
        entries: Vec<KeyChange>,
        /// Nothing of the state follows; changes do.
        last: bool,
    },
    /// What one version changed in the scope, or a part of it.
    Changes {
        /// The version.
        position: Position,
        /// The root after it.
        root: Blobref,
        /// When it was committed.
        time_ms: u64,
        /// Who made it.
        transactions: Vec<TransactionInfo>,
        /// The changed keys, sorted.
        changes: Vec<KeyChange>,
        /// Nothing of this version follows.
        last: bool,
    },
    /// Versions were lost to this watch: those after `from` up to `to`. The state at `to` follows
    /// as `Initial`.
    Gap {
        /// The last position that was delivered, or where the watch was to start.
        from: Position,
        /// Where it goes on.
        to: Position,
    },
}

/// What `record` changed in `scopes`, the roots rebuilt where differences are needed.
pub(crate) async fn changes_of(
    store: &Arc<Store>,
    namespace: &Arc<Namespace>,
    record: &Arc<VersionRecord>,
    scopes: &[Scope],
) -> Result<Vec<KeyChange>, EngineError> {
    let params = *store.objects.params();
    if !needs_roots(record, scopes) {
        let step = |source: &dyn NodeSource| changes(record, scopes, None, source);
        return match store.objects.at_once(step) {
            Some(done) => done,
            None => Err(EngineError::corrupt("an effect asked for objects")),
        };
    }
    let before = root_of(store, namespace, record.version - 1).await?;
    let after = root_of(store, namespace, record.version).await?;
    let (record, scopes) = (record.clone(), scopes.to_vec());
    let step = move |source: &dyn NodeSource| {
        let (before, after) = (&before.directory, &after.directory);
        changes(
            &record,
            &scopes,
            Some(&Between {
                before,
                after,
                params: &params,
            }),
            source,
        )
    };
    if let Some(done) = store.objects.at_once(&step) {
        return done;
    }
    store
        .offload(move |store| store.objects.complete(step))
        .await
}

pub(crate) fn transactions_of(record: &VersionRecord) -> Vec<TransactionInfo> {
    let info = |t: &crate::record::TransactionRecord| TransactionInfo {
        uid: t.uid,
        client: t.client,
        number: t.number,
        name: t.name.clone(),
    };
    record.transactions.iter().map(info).collect()
}

/// Splits changes into parts that fit an event; none for no changes.
pub(crate) fn pages(changes: Vec<KeyChange>) -> Vec<Vec<KeyChange>> {
    let mut pages: Vec<Vec<KeyChange>> = Vec::new();
    let mut bytes = 0;
    for change in changes {
        let size = change.key.as_str().len() + change.size();
        match pages.last_mut() {
            Some(page) if page.len() < EVENT_CHANGES && bytes + size <= EVENT_BYTES => {
                page.push(change);
                bytes += size;
            }
            _ => {
                pages.push(vec![change]);
                bytes = size;
            }
        }
    }
    pages
}
