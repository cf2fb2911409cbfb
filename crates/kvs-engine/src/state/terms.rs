//! What of a namespace changes seldom.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What of a namespace changes seldom. The published state and the readers of the namespace share
/// it.
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
