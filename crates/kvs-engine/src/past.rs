//! The points from which the history of a namespace is read: roots in packs, and landmarks in the
//! journal.

use kvs_tree::{Blobref, Directory, Stats};
use serde::{Deserialize, Serialize};

/// What the records of a group have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupInfo {
    /// Number of the group.
    pub(crate) group: u64,
    /// Number of the epoch that made it.
    pub(crate) epoch: u64,
    /// The wall clock when the group was begun, in milliseconds since 1970. May run backwards.
    pub(crate) time_ms: u64,
    /// The store's age then, in milliseconds: uptime summed over all starts. Never falls.
    pub(crate) age_ms: u64,
}

/// The initial state of a namespace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Origin {
    pub(crate) root: Blobref,
    /// The totals of the stored root that was copied; `None` if the namespace began empty.
    pub(crate) copied: Option<Stats>,
}

/// A root that can be read from packs. Later versions are rebuilt from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CheckpointRoot {
    pub(crate) version: u64,
    /// The last group that this root includes.
    pub(crate) group: u64,
    pub(crate) time_ms: u64,
    /// The store's age when the root was made; retention by time counts it.
    pub(crate) age_ms: u64,
    pub(crate) root: Blobref,
    pub(crate) stats: Stats,
    /// The empty directory of version 0, which has no object.
    pub(crate) empty: bool,
}

impl CheckpointRoot {
    /// Version 0 of a namespace that was created in the group of `info`.
    pub(crate) fn origin(origin: &Origin, info: GroupInfo) -> Self {
        Self {
            version: 0,
            group: info.group,
            time_ms: info.time_ms,
            age_ms: info.age_ms,
            root: origin.root,
            stats: origin.copied.unwrap_or_else(|| Directory::empty().stats()),
            empty: origin.copied.is_none(),
        }
    }

    pub(crate) fn directory(&self) -> Directory {
        if self.empty {
            Directory::empty()
        } else {
            Directory::stored(self.root, self.stats)
        }
    }
}

/// An entry of the sparse index from versions to the journal: `group` holds the first transaction
/// of `version`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Landmark {
    pub(crate) version: u64,
    pub(crate) group: u64,
}

/// The retained history of one namespace, as stored by a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Past {
    /// Ascending; the first is the oldest retained version.
    pub(crate) checkpoints: Vec<CheckpointRoot>,
    pub(crate) landmarks: Vec<Landmark>,
}

impl Past {
    /// Records a finished checkpoint. If the namespace has not changed, keeps the previous one.
    pub(crate) fn checkpointed(&mut self, point: CheckpointRoot) {
        let last = self.checkpoints.last();
        if last.is_none_or(|last| last.version < point.version) {
            self.checkpoints.push(point);
        }
    }
}

impl From<CheckpointRoot> for Past {
    /// The past of a namespace that was just created.
    fn from(origin: CheckpointRoot) -> Self {
        Self {
            checkpoints: vec![origin],
            landmarks: Vec::new(),
        }
    }
}
