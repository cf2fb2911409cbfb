//! The state of one namespace, without its tree.

use std::sync::Arc;

use kvs_tree::Blobref;
use serde::{Deserialize, Serialize};

use super::outcomes::Outcomes;
use super::terms::Terms;
use crate::limits::NAMESPACE_EPOCHS;

/// The versions of a namespace that one epoch made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EpochVersions {
    /// The number of the epoch.
    pub(crate) epoch: u64,
    /// The first version that it made.
    pub(crate) first: u64,
}

/// The state of one namespace, without its tree.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NamespaceState {
    pub(crate) terms: Arc<Terms>,
    /// The newest version that was applied.
    pub(crate) version: u64,
    /// Root of that version; `None` on the head, where roots are not computed yet.
    pub(crate) root: Option<Blobref>,
    /// The epochs that made versions of this incarnation, each with its first version; ascending,
    /// the newest `NAMESPACE_EPOCHS`. An epoch made all versions up to the first of the next.
    pub(crate) epochs: Arc<Vec<EpochVersions>>,
    /// The store's age at that version, in milliseconds.
    pub(crate) age_ms: u64,
    pub(crate) outcomes: Outcomes,
    /// Whether it changed since the state was last written.
    pub(super) changed: bool,
}

impl NamespaceState {
    /// Records that an epoch makes a version.
    pub(super) fn made_by(&mut self, epoch: u64, version: u64) {
        if self.epochs.last().is_some_and(|last| last.epoch == epoch) {
            return;
        }
        let epochs = Arc::make_mut(&mut self.epochs);
        let first = version;
        epochs.push(EpochVersions { epoch, first });
        let most = epochs.len().saturating_sub(NAMESPACE_EPOCHS);
        epochs.drain(..most);
    }

    /// The newest version of this incarnation made by epochs up to this one; `None` if that is no
    /// longer known.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for tokens that positions are to carry")
    )]
    pub(crate) fn version_after(&self, epoch: u64) -> Option<u64> {
        let next = self.epochs.partition_point(|one| one.epoch <= epoch);
        match self.epochs.get(next) {
            _ if next == 0 => None,
            Some(later) => later.first.checked_sub(1),
            None => Some(self.version),
        }
    }
}
