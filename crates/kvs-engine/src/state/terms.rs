//! What of a namespace changes seldom.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::request::Principal;

/// What of a namespace changes seldom. The published state and the readers of the namespace share
/// it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Terms {
    /// Random; another one each time that the namespace is created or goes on without its past.
    pub(crate) incarnation: u64,
    pub(crate) owner: Principal,
    /// Users who may read it although they do not own it.
    pub(crate) readers: BTreeSet<Principal>,
}

impl Terms {
    /// Those of a new namespace.
    pub(crate) fn new(owner: Principal, incarnation: u64) -> Self {
        Self {
            incarnation,
            owner,
            readers: BTreeSet::new(),
        }
    }
}
