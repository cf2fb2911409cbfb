//! Evicts in-memory nodes that a checkpoint has put into packs. Heads do so at once, because later
//! versions are built on them. Recent versions are evicted only when the task is idle: under load
//! they are soon dropped anyway.

use std::collections::HashSet;
use std::sync::Arc;

use kvs_tree::{Blobref, Detacher, StoreParams};

use crate::limits::DETACH_STEP;
use crate::namespace::Namespace;

/// Whether an object is in a pack.
type IsWritten = Box<dyn Fn(&Blobref) -> bool + Send>;

/// The eviction that remains after a checkpoint.
pub(super) struct Detaching {
    /// Shared by all versions: they share most of their nodes, and must continue to.
    pub(super) detacher: Detacher<IsWritten>,
    left: Vec<Left>,
}

/// Versions of one namespace.
struct Left {
    namespace: Arc<Namespace>,
    from: u64,
    upto: u64,
}

impl Detaching {
    /// Evicts the objects in `written`.
    pub(super) fn of(params: StoreParams, written: HashSet<Blobref>) -> Detaching {
        let is_written: IsWritten = Box::new(move |reference| written.contains(reference));
        Detaching {
            detacher: Detacher::new(params, is_written),
            left: Vec::new(),
        }
    }

    /// Adds all versions of a namespace that are published now.
    pub(super) fn add(&mut self, namespace: Arc<Namespace>) {
        self.left.push(Left {
            upto: namespace.position().version,
            from: 0,
            namespace,
        });
    }

    /// Performs one step. Returns whether work remains.
    pub(super) fn step(&mut self) -> bool {
        if let Some(left) = self.left.last_mut() {
            let mut history = left.namespace.history();
            let next = history.detach(left.from, left.upto, DETACH_STEP, &mut self.detacher);
            drop(history);
            match next {
                Some(next) => left.from = next,
                None => drop(self.left.pop()),
            }
        }
        !self.left.is_empty()
    }
}
