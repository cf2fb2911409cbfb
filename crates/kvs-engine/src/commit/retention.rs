//! What retention allows to drop: pure decisions over checkpoints, by version number, time and
//! bytes.

use std::ops::Deref;

use crate::config::Retention;
use crate::history::History;
use crate::past::CheckpointRoot;

impl Retention {
    /// The newest of `groups` (groups of checkpoints, ascending) before which the journal may be
    /// dropped. `namespaces` yields each namespace's newest version and its history, `age_ms` is
    /// the store's age, `over` is whether the journal exceeds its limit in bytes. Cost: linear in
    /// the groups, and in the namespaces up to the first that allows none.
    pub(crate) fn drop_before<P: Deref<Target = History>>(
        &self,
        groups: &[u64],
        namespaces: impl Iterator<Item = (u64, P)>,
        age_ms: u64,
        over: bool,
    ) -> Option<u64> {
        if over {
            // The smallest step that helps; the limit is checked again after it.
            return groups.get(1).or(groups.first()).copied();
        }
        let mut allowed = groups;
        for (version, history) in namespaces {
            let past = history.checkpoints();
            // A namespace that allows one group allows all before it.
            while let Some((newest, older)) = allowed.split_last()
                && !self.allows(version, past, *newest, age_ms)
            {
                allowed = older;
            }
            if allowed.is_empty() {
                return None;
            }
        }
        allowed.last().copied()
    }

    fn allows(&self, version: u64, past: &[CheckpointRoot], group: u64, age_ms: u64) -> bool {
        let at = past.iter().rev().find(|c| c.group <= group);
        let oldest = past.first().map_or(0, |c| c.version);
        at.is_none_or(|at| {
            let dropped_nothing = at.version == oldest;
            let by_number = version.saturating_sub(at.version) >= self.versions;
            let by_time = age_ms.saturating_sub(at.age_ms) >= self.time_ms;
            dropped_nothing || (by_number && by_time)
        })
    }
}

#[cfg(test)]
mod tests {
    use kvs_tree::{Blobref, Directory, HashAlgorithm};

    use super::*;
    use crate::past::Past;

    fn checkpoint(version: u64, group: u64, age_ms: u64) -> CheckpointRoot {
        CheckpointRoot {
            version,
            group,
            time_ms: 0,
            age_ms,
            root: Blobref::of(HashAlgorithm::Blake3, b""),
            stats: Directory::empty().stats(),
            empty: false,
        }
    }

    /// One namespace: its newest version and its checkpoints.
    fn one(version: u64, points: &[CheckpointRoot]) -> (u64, Box<History>) {
        let history = History::new(Past {
            checkpoints: points.to_vec(),
            landmarks: Vec::new(),
        });
        (version, Box::new(history))
    }

    const KEEP: Retention = Retention {
        versions: 10,
        time_ms: 1000,
        bytes: 0,
    };

    #[test]
    fn a_version_is_dropped_only_past_both_number_and_time() {
        let points = [
            checkpoint(0, 0, 0),
            checkpoint(50, 5, 100),
            checkpoint(95, 9, 1500),
        ];
        let drop = |version, now: u64| {
            KEEP.drop_before(&[5, 9], std::iter::once(one(version, &points)), now, false)
        };
        assert_eq!(drop(100, 2000), Some(5), "95 is within the last 10");
        assert_eq!(drop(200, 2000), Some(5), "95 is younger than a second");
        assert_eq!(drop(200, 9000), Some(9));
        assert_eq!(drop(55, 9000), None);
    }

    #[test]
    fn a_namespace_that_would_lose_nothing_does_not_hold_the_others_up() {
        let busy = [checkpoint(0, 0, 0), checkpoint(50, 5, 0)];
        let idle = [checkpoint(0, 0, 0)];
        let both = [one(99, &busy), one(0, &idle)].into_iter();
        assert_eq!(KEEP.drop_before(&[5], both, 9000, false), Some(5));
    }

    #[test]
    fn bytes_win_over_number_and_time() {
        let points = [
            checkpoint(0, 0, 0),
            checkpoint(5, 5, 0),
            checkpoint(6, 6, 0),
        ];
        let namespace = std::iter::once(one(6, &points));
        assert_eq!(KEEP.drop_before(&[5, 6], namespace, 0, true), Some(6));
    }
}
