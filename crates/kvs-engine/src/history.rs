//! One namespace's past: the newest versions in memory, and where older ones are found.
//!
//! Records and roots of recent versions are kept within bounds by number and bytes; older records
//! are in the journal, found through sparse landmarks; older roots are rebuilt from the nearest
//! checkpoint at or before them. The oldest checkpoint is the oldest retained version. Passive data
//! under its namespace's lock; reading the disk is up to `archive.rs`.

use std::collections::VecDeque;
use std::sync::Arc;

use kvs_tree::{Blobref, Detacher, Directory};

use crate::catalog::{CheckpointRoot, Landmark};
use crate::limits::{LANDMARK_DISTANCE, RECENT_RECORD_BYTES, RECENT_ROOTS, WATCH_BATCH};
use crate::record::VersionRecord;
use crate::skim::Filter;

/// A version's root, as readers hold it.
#[derive(Clone)]
pub(crate) struct RootAt {
    pub(crate) version: u64,
    pub(crate) time_ms: u64,
    pub(crate) directory: Directory,
    pub(crate) root: Blobref,
}

/// A version as the journal has it.
pub(crate) struct Written {
    pub(crate) record: Arc<VersionRecord>,
    /// The journal group that holds it.
    pub(crate) group: u64,
    /// About what its record takes in memory.
    pub(crate) bytes: usize,
}

/// A published version together with what it takes in memory.
#[derive(Clone)]
struct Recent {
    record: Arc<VersionRecord>,
    bytes: usize,
}

/// The past of one namespace.
#[derive(Clone)]
pub(crate) struct History {
    records: VecDeque<Recent>,
    record_bytes: usize,
    roots: VecDeque<RootAt>,
    landmarks: Vec<Landmark>,
    checkpoints: Vec<CheckpointRoot>,
}

impl History {
    /// A past that reaches back to the first of `checkpoints` (at least one, ascending).
    pub(crate) fn new(checkpoints: Vec<CheckpointRoot>, landmarks: Vec<Landmark>) -> Self {
        Self {
            records: VecDeque::new(),
            record_bytes: 0,
            roots: VecDeque::new(),
            landmarks,
            checkpoints,
        }
    }

    /// Adds the next version. Its root may follow.
    pub(crate) fn push(&mut self, written: Written) {
        let Written {
            record,
            group,
            bytes,
        } = written;
        let version = record.version;
        let near = self.landmarks.last().is_some_and(|last| {
            version - last.version < LANDMARK_DISTANCE && group - last.group < LANDMARK_DISTANCE
        });
        if !near {
            self.landmarks.push(Landmark { version, group });
        }
        self.record_bytes += bytes;
        self.records.push_back(Recent { record, bytes });
        while self.record_bytes > RECENT_RECORD_BYTES && self.records.len() > 1 {
            if let Some(old) = self.records.pop_front() {
                self.record_bytes -= old.bytes;
            }
        }
    }

    /// Adds the root of the newest version. Those that are kept follow one another.
    pub(crate) fn push_root(&mut self, root: RootAt) {
        let last = self.roots.back().map(|last| last.version);
        if last.is_some_and(|last| last + 1 != root.version) {
            self.roots.clear();
        }
        self.roots.push_back(root);
        while self.roots.len() > RECENT_ROOTS {
            self.roots.pop_front();
        }
    }

    /// The oldest version that can still be read.
    pub(crate) fn oldest(&self) -> u64 {
        self.checkpoints.first().map_or(0, |c| c.version)
    }

    /// Records from version `from` on, as far as memory holds them, at most `limit`; `None` if
    /// `from` is older than that.
    pub(crate) fn recent_records(
        &self,
        from: u64,
        limit: usize,
    ) -> Option<Vec<Arc<VersionRecord>>> {
        let first = self.records.front()?.record.version;
        let skip = usize::try_from(from.checked_sub(first)?).ok()?;
        Some(
            self.records
                .iter()
                .skip(skip)
                .take(limit)
                .map(|r| r.record.clone())
                .collect(),
        )
    }

    /// Of the `look` records from version `from` on those that concern `filter`, as far as memory
    /// holds them, and the last version that was looked at; `None` if `from` is older than that.
    pub(crate) fn recent_matching(
        &self,
        from: u64,
        look: usize,
        filter: &Filter,
    ) -> Option<(Vec<Arc<VersionRecord>>, u64)> {
        let first = self.records.front()?.record.version;
        let skip = usize::try_from(from.checked_sub(first)?).ok()?;
        let mut found = Vec::new();
        let mut reached = from.saturating_sub(1);
        for recent in self.records.iter().skip(skip).take(look) {
            reached = recent.record.version;
            if filter.concerns(&recent.record) {
                found.push(recent.record.clone());
                if found.len() >= WATCH_BATCH {
                    break;
                }
            }
        }
        Some((found, reached))
    }

    /// The root of `version` if it can be read without replay: in memory, or a checkpoint.
    pub(crate) fn root_at_hand(&self, version: u64) -> Option<RootAt> {
        self.base(version).filter(|root| root.version == version)
    }

    /// The first version whose record is in memory.
    pub(crate) fn first_recent(&self) -> Option<u64> {
        self.records.front().map(|r| r.record.version)
    }

    /// The root of `version`, if it is in memory.
    pub(crate) fn recent_root(&self, version: u64) -> Option<RootAt> {
        let first = self.roots.front()?.version;
        let at = usize::try_from(version.checked_sub(first)?).ok()?;
        self.roots.get(at).cloned()
    }

    /// The newest root at or before `version` that needs no replay to be read.
    pub(crate) fn base(&self, version: u64) -> Option<RootAt> {
        let recent = self
            .roots
            .iter()
            .rev()
            .find(|r| r.version <= version)
            .cloned();
        let checkpoint = self.checkpoints.iter().rev().find(|c| c.version <= version);
        match (recent, checkpoint) {
            (Some(root), Some(check)) if root.version >= check.version => Some(root),
            (root, None) => root,
            (_, Some(check)) => Some(RootAt {
                version: check.version,
                time_ms: check.time_ms,
                directory: check.directory(),
                root: check.root,
            }),
        }
    }

    /// The group from which reading the journal meets `version`.
    pub(crate) fn group_of(&self, version: u64) -> Option<u64> {
        let at = self.landmarks.partition_point(|l| l.version <= version);
        self.landmarks.get(at.checked_sub(1)?).map(|l| l.group)
    }

    /// The version, if a retained one that is known without replay, that had `root`.
    pub(crate) fn version_of_root(&self, root: &Blobref) -> Option<u64> {
        let recent = self
            .roots
            .iter()
            .rev()
            .find(|r| r.root == *root)
            .map(|r| r.version);
        let record = || {
            let found = self.records.iter().rev().find(|r| r.record.root == *root);
            found.map(|r| r.record.version)
        };
        let check = || {
            self.checkpoints
                .iter()
                .rev()
                .find(|c| c.root == *root)
                .map(|c| c.version)
        };
        recent.or_else(record).or_else(check)
    }

    pub(crate) fn checkpoints(&self) -> &[CheckpointRoot] {
        &self.checkpoints
    }

    pub(crate) fn landmarks(&self) -> &[Landmark] {
        &self.landmarks
    }

    /// Roots of versions behind `version`, as far as memory holds them, and the newest of these versions.
    pub(crate) fn roots_behind(&self, version: u64) -> (Vec<Directory>, u64) {
        let behind = self.roots.iter().rev().take_while(|r| r.version > version);
        let newest = self
            .roots
            .back()
            .map_or(version, |r| r.version.max(version));
        (behind.map(|r| r.directory.clone()).collect(), newest)
    }

    /// Notes a finished checkpoint and lets go of in-memory objects that packs now hold. What was held
    /// until then: to drop it takes a while.
    pub(crate) fn checkpointed<W: Fn(&Blobref) -> bool>(
        &mut self,
        checkpoint: CheckpointRoot,
        detacher: &mut Detacher<W>,
    ) -> Vec<Directory> {
        // A namespace that did not move keeps the checkpoint that it has.
        let last = self.checkpoints.last();
        if last.is_none_or(|last| last.version < checkpoint.version) {
            self.checkpoints.push(checkpoint);
        }
        let roots = self.roots.iter_mut();
        roots
            .map(|root| {
                let detached = detacher.directory(&root.directory);
                std::mem::replace(&mut root.directory, detached)
            })
            .collect()
    }

    /// Forgets what lies before `group`, a group of a checkpoint up to which the journal is dropped:
    /// the newest checkpoint at or before it becomes the oldest retained version.
    pub(crate) fn trim(&mut self, group: u64) {
        let upto = self.checkpoints.partition_point(|c| c.group <= group);
        self.checkpoints.drain(..upto.saturating_sub(1));
        let Some(oldest) = self.checkpoints.first().map(|c| c.version) else {
            return;
        };
        let first = self.landmarks.partition_point(|l| l.version <= oldest + 1);
        self.landmarks.drain(..first.saturating_sub(1));
        if let Some(first) = self.landmarks.first_mut()
            && first.group <= group
        {
            // What the landmark named is gone; the next version can only stand behind it.
            *first = Landmark {
                version: oldest + 1,
                group: group + 1,
            };
        }
    }
}
