//! What a version changed in some scopes: the record alone where it tells, else with the two roots
//! that the version lies between, which may have to be rebuilt.

use std::collections::BTreeMap;
use std::sync::Arc;

use kvs_tree::{Effect, Key, NodeSource, Scope};

use crate::changes::{Between, ChangeKind, KeyChange, Want, changes, needs_roots};
use crate::error::EngineError;
use crate::event::TransactionInfo;
use crate::namespace::Namespace;
use crate::record::VersionRecord;
use crate::store::Store;
use crate::view::root_of;

/// What `record` changed in `scopes`, the roots rebuilt where differences are needed.
pub(crate) async fn changes_of(
    store: &Arc<Store>,
    namespace: &Arc<Namespace>,
    record: &Arc<VersionRecord>,
    scopes: &[Scope],
) -> Result<Vec<KeyChange>, EngineError> {
    let params = *store.objects.params();
    let want = Want {
        below: true,
        wholes: true,
    };
    if !needs_roots(record, scopes, want) {
        let step = |source: &dyn NodeSource| changes(record, scopes, None, want, source);
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
            want,
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

/// The keys that a version wrote, in the order of the tree, and how. A copy counts as a put.
pub(crate) fn keys_of(record: &VersionRecord) -> Vec<(Key, ChangeKind)> {
    let mut keys = BTreeMap::new();
    for effect in record.effects() {
        keys.insert(effect.key().clone(), kind_of(effect));
    }
    keys.into_iter().collect()
}

fn kind_of(effect: &Effect) -> ChangeKind {
    match effect {
        Effect::Put { .. } | Effect::PutStored { .. } | Effect::Copy { .. } => ChangeKind::Put,
        Effect::Append { .. } => ChangeKind::Append,
        Effect::Unlink { .. } => ChangeKind::Unlink,
        Effect::Mkdir { .. } | Effect::Graft { .. } => ChangeKind::Mkdir,
        Effect::Link { .. } => ChangeKind::Link,
    }
}
