//! Loads objects that transactions need and that are not in memory, outside the commit task.
//!
//! The objects are found by applying the transactions to the tree as it was when they began to
//! wait, which walks their whole paths. The result is discarded. The loaded objects stay in memory
//! until the transactions are evaluated in order, on the tree as it is then.

use std::sync::Arc;

use kvs_tree::{Condition, Ctx, Directory, apply};

use super::waiting::LineKey;
use crate::answers::CommitReply;
use crate::error::EngineError;
use crate::history::RootAt;
use crate::limits::LOAD_BYTES;
use crate::namespace::Namespace;
use crate::objects::Loaded;
use crate::request::CommitRequest;
use crate::roots::root_of;
use crate::store::Store;

/// A transaction that waits.
pub(super) struct Parked {
    pub(super) request: Arc<CommitRequest>,
    /// The answer if it never took effect; `None` if it is to be evaluated.
    pub(super) refusal: Option<EngineError>,
    pub(super) reply: CommitReply,
    /// How many loads for it were not enough.
    pub(super) rounds: usize,
    /// Whether the last load failed.
    pub(super) failed: bool,
}

impl Parked {
    pub(super) fn new(
        request: Box<CommitRequest>,
        refusal: Option<EngineError>,
        reply: CommitReply,
    ) -> Self {
        Self {
            request: Arc::from(request),
            refusal,
            reply,
            rounds: 0,
            failed: false,
        }
    }
}

/// A request to load what the first transactions of a line need.
pub(super) struct Load {
    pub(super) line: LineKey,
    pub(super) namespace: Arc<Namespace>,
    pub(super) directory: Directory,
    pub(super) requests: Vec<Arc<CommitRequest>>,
}

/// The result of a load.
pub(super) struct LoadDone {
    pub(super) line: LineKey,
    pub(super) prefetched: Prefetched,
    /// For each transaction, why an object could not be loaded.
    pub(super) failures: Vec<Option<EngineError>>,
}

/// Roots and objects known besides those in memory.
#[derive(Default)]
pub(super) struct Prefetched {
    /// The incarnation of the namespace that the roots belong to.
    incarnation: u64,
    roots: Vec<RootAt>,
    pub(super) objects: Loaded,
}

impl Prefetched {
    /// The root of a version in this incarnation of the namespace.
    pub(super) fn root(&self, incarnation: u64, version: u64) -> Option<&RootAt> {
        let mut roots = self.roots.iter();
        roots.find(|root| self.incarnation == incarnation && root.version == version)
    }
}

/// Versions that the conditions of a transaction compare with.
pub(super) fn versions(request: &CommitRequest) -> impl Iterator<Item = u64> {
    let conditions = request.transaction.conditions.iter();
    conditions.filter_map(|condition| match condition {
        Condition::Unchanged { since, .. } => Some(*since),
        _ => None,
    })
}

/// Loads what transactions need.
pub(super) async fn load(store: Arc<Store>, load: Load) -> LoadDone {
    let line = load.line.clone();
    let count = load.requests.len();
    let mut known = Prefetched {
        incarnation: load.namespace.incarnation,
        ..Prefetched::default()
    };
    let mut failures = vec![None; count];
    for (request, failure) in load.requests.iter().zip(&mut failures) {
        for version in versions(request) {
            if known.root(known.incarnation, version).is_some() {
                continue;
            }
            match root_of(&store, &load.namespace, version).await {
                Ok(root) => known.roots.push(root),
                Err(error) => *failure = Some(error),
            }
        }
    }
    let walk = move |store: &Arc<Store>| {
        walk(store, load, &mut known, &mut failures);
        Ok((known, failures))
    };
    let (known, failures) = store.offload(walk).await.unwrap_or_else(|error| {
        let failures = vec![Some(error); count];
        (Prefetched::default(), failures)
    });
    LoadDone {
        line,
        prefetched: known,
        failures,
    }
}

/// Walks the paths of transactions in order, since each may change those of the next.
fn walk(store: &Store, load: Load, known: &mut Prefetched, failures: &mut [Option<EngineError>]) {
    let Load {
        mut directory,
        requests,
        ..
    } = load;
    let (objects, params) = (&store.objects, store.objects.params());
    let Prefetched {
        roots,
        objects: loaded,
        ..
    } = known;
    let past = |version| {
        let root = roots.iter().find(|root| root.version == version);
        root.map(|root| root.directory.clone())
    };
    // A transaction may build on what an earlier one staged.
    let mut staged = Vec::new();
    for (request, failure) in requests.iter().zip(failures) {
        staged.extend(request.prepared.staged.iter().cloned());
        if loaded.bytes() > LOAD_BYTES {
            // The rest is loaded after these are evaluated.
            return;
        }
        // Refusals are reported by the evaluation in order, not here.
        let mut refused = false;
        let walked = objects.gather(&staged, loaded, |source| {
            let done = apply(
                &directory,
                &Ctx { source, params },
                &past,
                &request.transaction,
            );
            refused = !matches!(done, Ok(_) | Err(kvs_tree::Fault::Missing(_)));
            done
        });
        match walked {
            Ok(applied) => directory = applied.root,
            Err(_) if refused => {}
            Err(error) => *failure = failure.take().or(Some(error)),
        }
    }
}
