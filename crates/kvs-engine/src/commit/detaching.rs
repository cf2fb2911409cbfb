//! After a checkpoint: what is in memory lets go of the objects that packs hold now. Heads do so at
//! once, as later versions are made of them. Recent versions are forgotten soon under load, so they
//! have time until there is nothing else to do.

use std::collections::HashSet;
use std::sync::Arc;

use kvs_tree::{Blobref, Detacher, StoreParams};

use crate::limits::DETACH_STEP;
use crate::namespace::Namespace;

/// Whether an object is in a pack.
type IsWritten = Box<dyn Fn(&Blobref) -> bool + Send>;

/// What is left to do.
pub(super) struct Detaching {
    /// One for all: versions share most of their nodes, and must go on sharing them.
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
    /// Of objects that were written.
    pub(super) fn of(params: StoreParams, written: HashSet<Blobref>) -> Detaching {
        let is_written: IsWritten = Box::new(move |reference| written.contains(reference));
        Detaching {
            detacher: Detacher::new(params, is_written),
            left: Vec::new(),
        }
    }

    /// Adds all versions of a namespace that are published by now.
    pub(super) fn add(&mut self, namespace: Arc<Namespace>) {
        self.left.push(Left {
            upto: namespace.position().version,
            from: 0,
            namespace,
        });
    }

    /// Does some of it. Whether anything is left.
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
