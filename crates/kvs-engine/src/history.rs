//! The history of one namespace: the newest versions in memory, and where older ones are found.
//!
//! Records and roots of recent versions are in memory, bounded by number and bytes. Older records
//! are in the journal, found through sparse landmarks; older roots are rebuilt from the nearest
//! checkpoint at or before them. The oldest checkpoint is the oldest retained version. Passive
//! data, protected by the namespace's lock; `archive.rs` reads the disk.

use std::collections::VecDeque;
use std::sync::Arc;

use kvs_tree::{Blobref, Detacher, Directory};

use crate::limits::{LANDMARK_DISTANCE, RECENT_RECORD_BYTES, RECENT_ROOTS};
use crate::past::{CheckpointRoot, Landmark, Past};
use crate::state::VersionRecord;

/// The root of a version, for readers.
#[derive(Clone)]
pub(crate) struct RootAt {
    pub(crate) version: u64,
    pub(crate) time_ms: u64,
    pub(crate) directory: Directory,
    pub(crate) root: Blobref,
}

impl RootAt {
    /// The root of a version that is in packs.
    pub(crate) fn checkpoint(point: &CheckpointRoot) -> Self {
        Self {
            version: point.version,
            time_ms: point.time_ms,
            directory: point.directory(),
            root: point.root,
        }
    }
}

impl CheckpointRoot {
    /// The root of a namespace as of `group`.
    pub(crate) fn of(root: &RootAt, group: u64, age_ms: u64) -> Self {
        let stats = root.directory.stats();
        Self {
            version: root.version,
            group,
            time_ms: root.time_ms,
            age_ms,
            root: root.root,
            stats,
            empty: root.version == 0 && stats.entries == 0,
        }
    }
}

/// A version as written to the journal.
pub(crate) struct Written {
    pub(crate) record: Arc<VersionRecord>,
    /// The journal group that contains it.
    pub(crate) group: u64,
    /// Approximate memory of its record, in bytes.
    pub(crate) bytes: usize,
}

/// A published version and the memory that it takes.
#[derive(Clone)]
struct Recent {
    record: Arc<VersionRecord>,
    bytes: usize,
}

/// The history of one namespace.
#[derive(Clone)]
pub(crate) struct History {
    records: VecDeque<Recent>,
    record_bytes: usize,
    roots: VecDeque<RootAt>,
    past: Past,
}

impl History {
    /// A history that starts at the first of the checkpoints in `past`, of which there is at least
    /// one.
    pub(crate) fn new(past: Past) -> Self {
        Self {
            records: VecDeque::new(),
            record_bytes: 0,
            roots: VecDeque::new(),
            past,
        }
    }

    /// Adds the next version. Its root may be added later.
    pub(crate) fn push(&mut self, written: Written) {
        let Written {
            record,
            group,
            bytes,
        } = written;
        let version = record.version;
        let near = self.past.landmarks.last().is_some_and(|last| {
            version - last.version < LANDMARK_DISTANCE && group - last.group < LANDMARK_DISTANCE
        });
        if !near {
            self.past.landmarks.push(Landmark { version, group });
        }
        self.record_bytes += bytes;
        self.records.push_back(Recent { record, bytes });
        while self.record_bytes > RECENT_RECORD_BYTES && self.records.len() > 1 {
            if let Some(old) = self.records.pop_front() {
                self.record_bytes -= old.bytes;
            }
        }
    }

    /// Adds the root of the newest version. The roots in memory are consecutive.
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
        self.past.checkpoints.first().map_or(0, |c| c.version)
    }

    /// At most `limit` records in memory, from version `from` on; `None` if `from` is older than
    /// these.
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

    /// The record of a version, if it is in memory.
    pub(crate) fn recent_record(&self, version: u64) -> Option<Arc<VersionRecord>> {
        let first = self.records.front()?.record.version;
        let at = usize::try_from(version.checked_sub(first)?).ok()?;
        self.records.get(at).map(|recent| recent.record.clone())
    }

    /// The root of `version` if it can be read without replay: in memory, or from a checkpoint.
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

    /// The newest root at or before `version` that can be read without replay.
    pub(crate) fn base(&self, version: u64) -> Option<RootAt> {
        let recent = self
            .roots
            .iter()
            .rev()
            .find(|r| r.version <= version)
            .cloned();
        let checkpoint = self
            .past
            .checkpoints
            .iter()
            .rev()
            .find(|c| c.version <= version);
        match (recent, checkpoint) {
            (Some(root), Some(check)) if root.version >= check.version => Some(root),
            (root, None) => root,
            (_, Some(check)) => Some(RootAt::checkpoint(check)),
        }
    }

    /// The group at which reading the journal for `version` starts.
    pub(crate) fn group_of(&self, version: u64) -> Option<u64> {
        let at = self
            .past
            .landmarks
            .partition_point(|l| l.version <= version);
        self.past.landmarks.get(at.checked_sub(1)?).map(|l| l.group)
    }

    /// A retained version with this root, among those known without replay.
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
            self.past
                .checkpoints
                .iter()
                .rev()
                .find(|c| c.root == *root)
                .map(|c| c.version)
        };
        recent.or_else(record).or_else(check)
    }

    pub(crate) fn checkpoints(&self) -> &[CheckpointRoot] {
        &self.past.checkpoints
    }

    /// The part that survives a restart.
    pub(crate) fn past(&self) -> Past {
        self.past.clone()
    }

    /// Records a finished checkpoint.
    pub(crate) fn checkpointed(&mut self, checkpoint: CheckpointRoot) {
        self.past.checkpointed(checkpoint);
    }

    /// Evicts nodes that are now in packs from up to `most` roots in memory, of versions `from` to
    /// `upto`, oldest first. Returns the version to continue with; `None` when done.
    pub(crate) fn detach<W: Fn(&Blobref) -> bool>(
        &mut self,
        from: u64,
        upto: u64,
        most: usize,
        detacher: &mut Detacher<W>,
    ) -> Option<u64> {
        let first = self.roots.front()?.version;
        let mut next = from.max(first);
        let skip = usize::try_from(next - first).ok()?;
        for root in self.roots.iter_mut().skip(skip).take(most) {
            if root.version > upto {
                return None;
            }
            root.directory = detacher.directory(&root.directory);
            next = root.version + 1;
        }
        let newest = self.roots.back().map_or(0, |root| root.version);
        (next <= upto.min(newest)).then_some(next)
    }

    /// Drops the history before `group`, the group of a checkpoint before which the journal is
    /// dropped. The newest checkpoint at or before it becomes the oldest retained version.
    pub(crate) fn trim(&mut self, group: u64) {
        let upto = self.past.checkpoints.partition_point(|c| c.group <= group);
        self.past.checkpoints.drain(..upto.saturating_sub(1));
        let Some(oldest) = self.past.checkpoints.first().map(|c| c.version) else {
            return;
        };
        let first = self
            .past
            .landmarks
            .partition_point(|l| l.version <= oldest + 1);
        self.past.landmarks.drain(..first.saturating_sub(1));
        if let Some(first) = self.past.landmarks.first_mut()
            && first.group <= group
        {
            // The landmark's group is dropped; the next version can only come after it.
            *first = Landmark {
                version: oldest + 1,
                group: group + 1,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use kvs_tree::{Effect, HashAlgorithm, Key, StoreParams};

    use super::*;
    use crate::bulk::Effort;
    use crate::objects::Objects;
    use crate::past::GroupInfo;
    use crate::past::Origin;
    use kvs_storage::memory::MemoryBlobStore;

    const PARAMS: StoreParams = StoreParams {
        algorithm: HashAlgorithm::Blake3,
        split_key: [7; 32],
    };

    /// A namespace of `versions` versions, each of which puts one more key.
    fn history(versions: u64) -> History {
        let objects = Objects::new(Arc::new(MemoryBlobStore::new()), PARAMS, 1 << 20);
        let mut directory = Directory::empty();
        let origin = Origin {
            root: directory.seal(&PARAMS),
            copied: None,
        };
        let origin = CheckpointRoot::origin(&origin, GroupInfo::default());
        let mut history = History::new(Past::from(origin));
        for version in 1..=versions {
            let put = Effect::Put {
                key: Key::parse(&version.to_string()).unwrap(),
                value: "x".to_owned().into(),
                subtree: false,
            };
            directory = objects.replay(&directory, &[put], Effort::BESIDE).unwrap();
            history.push_root(RootAt {
                version,
                time_ms: 0,
                root: directory.seal(&PARAMS),
                directory: directory.clone(),
            });
        }
        history
    }

    /// Versions that hold objects in memory although all are written.
    fn holding(history: &History) -> Vec<u64> {
        let holds = |root: &&RootAt| {
            let mut count = 0;
            let unwritten = &mut |_, _, _| count += 1;
            root.directory.unwritten(&PARAMS, &|_| false, unwritten);
            count > 0
        };
        history
            .roots
            .iter()
            .filter(holds)
            .map(|r| r.version)
            .collect()
    }

    #[test]
    fn recent_versions_let_go_step_by_step_of_what_is_written() {
        let mut history = history(20);
        let names: HashSet<Blobref> = history.roots.iter().map(|r| r.root).collect();
        let mut detacher = Detacher::new(PARAMS, |name: &Blobref| names.contains(name));
        assert_eq!(holding(&history), (1..=20).collect::<Vec<_>>());
        assert_eq!(history.detach(0, 17, 8, &mut detacher), Some(9));
        assert_eq!(holding(&history), (9..=20).collect::<Vec<_>>());
        // Versions that were dropped meanwhile need no work.
        history.roots.drain(..12);
        assert_eq!(history.detach(9, 17, 3, &mut detacher), Some(16));
        assert_eq!(holding(&history), (16..=20).collect::<Vec<_>>());
        assert_eq!(history.detach(16, 17, 8, &mut detacher), None);
        assert_eq!(holding(&history), [18, 19, 20]);
        let before: Vec<Blobref> = history.roots.iter().map(|r| r.root).collect();
        let after = history.roots.iter().map(|r| r.directory.seal(&PARAMS));
        assert_eq!(after.collect::<Vec<_>>(), before);
        history.roots.clear();
        assert_eq!(history.detach(0, 17, 8, &mut detacher), None);
    }
}
