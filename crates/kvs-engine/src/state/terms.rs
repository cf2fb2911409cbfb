//! What a namespace is beside its tree.

use std::collections::BTreeSet;
use std::sync::Arc;

use kvs_tree::Blobref;
use serde::{Deserialize, Serialize};

use super::outcomes::Outcomes;

/// What of a namespace changes seldom. The published state and the readers of the namespace share it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Terms {
    /// Random; another one each time that the namespace is created or goes on without its past.
    pub(crate) incarnation: u64,
    pub(crate) owner: u32,
    /// Users who may read it although they do not own it.
    pub(crate) readers: BTreeSet<u32>,
}

impl Terms {
    /// Those of a new namespace.
    pub(crate) fn new(owner: u32, incarnation: u64) -> Self {
        Self {
            incarnation,
            owner,
            readers: BTreeSet::new(),
        }
    }
}

/// One namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NamespaceState {
    pub(crate) terms: Arc<Terms>,
    /// The newest version that was applied.
    pub(crate) version: u64,
    /// Its root; `None` on the head, where roots are not computed yet.
    pub(crate) root: Option<Blobref>,
    /// Its time, in milliseconds since the epoch.
    pub(crate) time_ms: u64,
    pub(crate) outcomes: Outcomes,
}
