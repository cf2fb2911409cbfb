//! The points from which the past of a namespace is read: roots that stand in packs, and where in
//! the journal versions stand.

use kvs_tree::{Blobref, Directory, Stats};
use serde::{Deserialize, Serialize};

/// Which group a record is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Its number.
    pub(crate) group: u64,
    /// The wall clock when it was begun, in milliseconds since 1970. May run backwards.
    pub(crate) time_ms: u64,
    /// The store's age then, in milliseconds: uptime summed over all starts. Never falls.
    pub(crate) age_ms: u64,
}

/// What a namespace began as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Origin {
    pub(crate) root: Blobref,
    /// The totals of the stored root that it is a copy of; `None`: it began empty.
    pub(crate) copied: Option<Stats>,
}

/// A root that can be read from packs: where versions after it are rebuilt from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CheckpointRoot {
    pub(crate) version: u64,
    /// The last group that this root includes.
    pub(crate) group: u64,
    pub(crate) time_ms: u64,
    /// The store's age when it was made: what retention by time counts.
    pub(crate) age_ms: u64,
    pub(crate) root: Blobref,
    pub(crate) stats: Stats,
    /// The empty directory of version 0 needs no object.
    pub(crate) empty: bool,
}

impl CheckpointRoot {
    /// Version 0 of a namespace that began in `group`.
    pub(crate) fn origin(origin: &Origin, stamp: Stamp) -> Self {
        Self {
            version: 0,
            group: stamp.group,
            time_ms: stamp.time_ms,
            age_ms: stamp.age_ms,
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

/// Where in the journal versions stand: `group` holds the first transaction of `version`. Sparse.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Landmark {
    pub(crate) version: u64,
    pub(crate) group: u64,
}

/// The retained past of one namespace, as a checkpoint keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Past {
    /// Ascending; the first is the oldest retained version.
    pub(crate) checkpoints: Vec<CheckpointRoot>,
    pub(crate) landmarks: Vec<Landmark>,
}

impl Past {
    /// Notes a finished checkpoint. A namespace that did not move keeps the one that it has.
    pub(crate) fn checkpointed(&mut self, point: CheckpointRoot) {
        let last = self.checkpoints.last();
        if last.is_none_or(|last| last.version < point.version) {
            self.checkpoints.push(point);
        }
    }
}

impl From<CheckpointRoot> for Past {
    /// That of a namespace that has just begun.
    fn from(origin: CheckpointRoot) -> Self {
        Self {
            checkpoints: vec![origin],
            landmarks: Vec::new(),
        }
    }
}
