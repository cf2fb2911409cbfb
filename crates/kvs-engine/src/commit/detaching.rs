//! After a checkpoint: recent versions let go of the objects that packs hold now. Under load they are
//! forgotten soon anyway, so this has time until there is nothing else to do.

use std::sync::Arc;

use kvs_tree::Detacher;

use crate::checkpoint::IsWritten;
use crate::limits::DETACH_STEP;
use crate::namespace::Namespace;

/// What is left to do.
pub(super) struct Detaching {
    /// Has seen the heads, which later versions are made of.
    detacher: Detacher<IsWritten>,
    left: Vec<Left>,
}

/// Versions of one namespace.
struct Left {
    namespace: Arc<Namespace>,
    from: u64,
    upto: u64,
}

impl Detaching {
    /// All versions of these namespaces that are published by now.
    pub(super) fn new(
        detacher: Detacher<IsWritten>,
        namespaces: impl IntoIterator<Item = Arc<Namespace>>,
    ) -> Detaching {
        let left = namespaces.into_iter().map(|namespace| Left {
            upto: namespace.position().version,
            from: 0,
            namespace,
        });
        Detaching {
            left: left.collect(),
            detacher,
        }
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
