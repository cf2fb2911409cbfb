//! Loading beside the commit task: what transactions need that is not in memory.
//!
//! Transactions name keys; here the whole ways to them are walked, by performing the transactions
//! on the tree as it was when they began to wait. What that came to is forgotten. What was loaded
//! for it stays in memory until they are evaluated at their place, on the tree as it is then.

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
    /// The answer if it never took effect; without, it is to be evaluated.
    pub(super) refusal: Option<EngineError>,
    pub(super) reply: CommitReply,
    /// How often something was loaded for it in vain.
    pub(super) rounds: usize,
    /// Whether the last time something could not be loaded.
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

/// What is to be loaded for the first transactions of a line.
pub(super) struct Load {
    pub(super) line: LineKey,
    pub(super) namespace: Arc<Namespace>,
    pub(super) directory: Directory,
    pub(super) requests: Vec<Arc<CommitRequest>>,
}

/// What was loaded.
pub(super) struct LoadDone {
    pub(super) line: LineKey,
    pub(super) prefetched: Prefetched,
    /// Why something could not be loaded, for each transaction.
    pub(super) failures: Vec<Option<EngineError>>,
}

/// What is known beside what everybody knows.
#[derive(Default)]
pub(super) struct Prefetched {
    /// Which life of the namespace the roots belong to.
    incarnation: u64,
    roots: Vec<RootAt>,
    pub(super) objects: Loaded,
}

impl Prefetched {
    /// The root of a version in this life of the namespace.
    pub(super) fn root(&self, incarnation: u64, version: u64) -> Option<&RootAt> {
        let mut roots = self.roots.iter();
        roots.find(|root| self.incarnation == incarnation && root.version == version)
    }
}

/// Versions that conditions of a transaction compare with.
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

/// Walks the ways of transactions, in their order, as each may change those of the next.
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
    // A transaction may build on what one before it staged.
    let mut staged = Vec::new();
    for (request, failure) in requests.iter().zip(failures) {
        staged.extend(request.prepared.staged.iter().cloned());
        if loaded.bytes() > LOAD_BYTES {
            // The rest is loaded for once these are evaluated.
            return;
        }
        // A refusal is for whoever evaluates it at its place to find.
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
