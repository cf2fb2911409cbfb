//! What may be forgotten: pure decisions over checkpoints, by number, time and bytes.

use crate::config::Retention;
use crate::past::CheckpointRoot;

/// The past of one namespace, as much as the decision needs.
pub(crate) struct Past {
    pub(crate) version: u64,
    pub(crate) checkpoints: Vec<CheckpointRoot>,
}

impl Retention {
    /// The newest of `groups` (of checkpoints, ascending) before which the journal may be dropped.
    /// `age_ms` is the age of a checkpoint, `over` says that the journal is over its limit in bytes.
    /// Cost: linear in the namespaces until the first that allows none, and in the groups.
    pub(crate) fn drop_before(
        &self,
        groups: &[u64],
        pasts: impl Iterator<Item = Past>,
        age_ms: impl Fn(&CheckpointRoot) -> u64,
        over: bool,
    ) -> Option<u64> {
        if over {
            // The oldest step that helps: bytes are looked at again after it.
            return groups.get(1).or(groups.first()).copied();
        }
        let mut allowed = groups;
        for past in pasts {
            // Whoever allows a group allows all before it.
            while let Some((newest, older)) = allowed.split_last()
                && !self.allows(&past, *newest, &age_ms)
            {
                allowed = older;
            }
            if allowed.is_empty() {
                return None;
            }
        }
        allowed.last().copied()
    }

    fn allows(&self, past: &Past, group: u64, age_ms: &impl Fn(&CheckpointRoot) -> u64) -> bool {
        let at = past.checkpoints.iter().rev().find(|c| c.group <= group);
        let oldest = past.checkpoints.first().map_or(0, |c| c.version);
        at.is_none_or(|at| {
            let dropped_nothing = at.version == oldest;
            let by_number = past.version.saturating_sub(at.version) >= self.versions;
            let by_time = age_ms(at) >= self.time_ms;
            dropped_nothing || (by_number && by_time)
        })
    }
}

#[cfg(test)]
mod tests {
    use kvs_tree::{Blobref, Directory, HashAlgorithm};

    use super::*;

    fn checkpoint(version: u64, group: u64, time_ms: u64) -> CheckpointRoot {
        CheckpointRoot {
            version,
            group,
            time_ms,
            root: Blobref::of(HashAlgorithm::Blake3, b""),
            stats: Directory::empty().stats(),
            empty: false,
        }
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
            KEEP.drop_before(
                &[5, 9],
                std::iter::once(Past {
                    version,
                    checkpoints: points.to_vec(),
                }),
                |at| now - at.time_ms,
                false,
            )
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
        let pasts = {
            [(99, busy.to_vec()), (0, idle.to_vec())]
                .into_iter()
                .map(|(version, checkpoints)| Past {
                    version,
                    checkpoints,
                })
        };
        assert_eq!(KEEP.drop_before(&[5], pasts, |_| 9000, false), Some(5));
    }

    #[test]
    fn bytes_win_over_number_and_time() {
        let points = [
            checkpoint(0, 0, 0),
            checkpoint(5, 5, 0),
            checkpoint(6, 6, 0),
        ];
        let pasts = {
            std::iter::once(Past {
                version: 6,
                checkpoints: points.to_vec(),
            })
        };
        assert_eq!(KEEP.drop_before(&[5, 6], pasts, |_| 0, true), Some(6));
    }
}
