//! The changes of a version in some scopes: from its record alone if possible, else by comparing
//! the roots before and after it, which may have to be rebuilt.

use std::collections::BTreeMap;
use std::sync::Arc;

use kvs_tree::{Effect, Effort, Key, NodeSource, Scope};

use crate::changes::{Between, ChangeKind, Want, needs_roots};
use crate::error::EngineError;
use crate::event::TransactionInfo;
use crate::gather::{Gathered, Gathering};
use crate::limits::{LOG_CHANGES, LOG_SLICES};
use crate::namespace::Namespace;
use crate::roots::root_of;
use crate::slices::Pace;
use crate::state::VersionRecord;
use crate::store::Store;

/// The keys that a version changed.
pub(crate) struct ChangedKeys {
    /// The keys in tree order, and how they changed.
    pub(crate) keys: Vec<(Key, ChangeKind)>,
    /// Whether there may be more: the search stopped at a limit.
    pub(crate) more: bool,
}

/// The keys that `record` changed in `scopes`; rebuilds roots if differences are needed. Works in
/// slices and stops at [`LOG_CHANGES`] keys or [`LOG_SLICES`].
pub(crate) async fn changes_of(
    store: &Arc<Store>,
    namespace: &Arc<Namespace>,
    record: &Arc<VersionRecord>,
    scopes: &Arc<[Scope]>,
    pace: &mut Pace,
) -> Result<ChangedKeys, EngineError> {
    let want = Want {
        below: true,
        wholes: false,
        values: false,
    };
    let needs = |effect: &Effect| needs_roots(effect, scopes, want);
    let roots = if any_effect(record, scopes, pace, needs).await {
        let before = root_of(store, namespace, record.version - 1).await?;
        let after = root_of(store, namespace, record.version).await?;
        Some((before, after))
    } else {
        None
    };
    let (mut gathered, begun) = (Gathered::default(), pace.ended());
    let mut more = false;
    while !gathered.is_complete() && !more {
        let (record, scopes) = (record.clone(), scopes.clone());
        let (roots, visits) = (roots.clone(), pace.left());
        let step = move |gathered: &mut Gathered, source: &dyn NodeSource, params: &_| {
            let of = Gathering {
                record: &record,
                scopes: &scopes,
                between: roots.as_ref().map(|(before, after)| Between {
                    before: &before.directory,
                    after: &after.directory,
                    params,
                }),
                want,
            };
            gathered.step(&of, source, visits)
        };
        let (so_far, made) = store.advance(gathered, step).await?;
        gathered = so_far;
        pace.spend(made).await;
        more = gathered.len() >= LOG_CHANGES || pace.ended() - begun >= LOG_SLICES;
    }
    more &= !gathered.is_complete();
    let changes = gathered.into_changes().into_iter();
    Ok(ChangedKeys {
        keys: changes.map(|change| (change.key, change.kind)).collect(),
        more,
    })
}

/// Whether `does` holds for any effect of the record; checked in slices.
pub(crate) async fn any_effect(
    record: &VersionRecord,
    scopes: &[Scope],
    pace: &mut Pace,
    does: impl Fn(&Effect) -> bool,
) -> bool {
    let effort = Effort::of(scopes);
    for effect in record.effects() {
        if does(effect) {
            return true;
        }
        pace.spend(effort.visits(effect.key())).await;
    }
    false
}

pub(crate) fn transactions_of(record: &VersionRecord) -> Vec<TransactionInfo> {
    let info = |t: &crate::state::TransactionRecord| TransactionInfo {
        principal: t.principal,
        client: t.client,
        number: t.number,
        name: t.name.clone(),
    };
    record.transactions.iter().map(info).collect()
}

/// The keys that a version wrote, in tree order, and how. A copy counts as a put.
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
