//! The terms of a namespace: the part of its state that rarely changes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::request::Principal;

/// The part of a namespace's state that rarely changes. Shared by the published state and the
/// readers of the namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Terms {
    /// Random; a new one each time that the namespace is created or continues without its past.
    pub(crate) incarnation: u64,
    pub(crate) owner: Principal,
    /// Users other than the owner who may read it.
    pub(crate) readers: BTreeSet<Principal>,
}

impl Terms {
    /// The terms of a new namespace.
    pub(crate) fn new(owner: Principal, incarnation: u64) -> Self {
        Self {
            incarnation,
            owner,
            readers: BTreeSet::new(),
        }
    }
}
