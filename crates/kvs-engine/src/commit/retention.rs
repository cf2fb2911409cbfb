//! What may be forgotten: pure decisions over checkpoints, by number, time and bytes.

use crate::config::Retention;
use crate::past::CheckpointRoot;

/// The past of one namespace, as much as the decision needs.
pub(crate) struct Past<'a> {
    pub(crate) version: u64,
    pub(crate) checkpoints: &'a [CheckpointRoot],
}

impl Retention {
    /// The newest of `checkpoints` (groups, ascending) before which the journal may be dropped;
    /// `age_ms` is the age of one, `over` tells that the journal is over its limit in bytes.
    pub(crate) fn drop_before<'a>(
        &self,
        groups: &[u64],
        pasts: impl Fn() -> Vec<Past<'a>>,
        age_ms: impl Fn(&CheckpointRoot) -> u64,
        over: bool,
    ) -> Option<u64> {
        let pasts = pasts();
        let allowed = |group: u64| {
            pasts.iter().all(|past| {
                let at = past.checkpoints.iter().rev().find(|c| c.group <= group);
                let oldest = past.checkpoints.first().map_or(0, |c| c.version);
                at.is_none_or(|at| {
                    let dropped_nothing = at.version == oldest;
                    let by_number = past.version.saturating_sub(at.version) >= self.versions;
                    let by_time = age_ms(at) >= self.time_ms;
                    dropped_nothing || (by_number && by_time)
                })
            })
        };
        if over {
            // The oldest step that helps: bytes are looked at again after it.
            return groups.get(1).or(groups.first()).copied();
        }
        groups.iter().rev().copied().find(|&group| allowed(group))
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
                || {
                    vec![Past {
                        version,
                        checkpoints: &points,
                    }]
                },
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
        let pasts = || {
            vec![
                Past {
                    version: 99,
                    checkpoints: &busy,
                },
                Past {
                    version: 0,
                    checkpoints: &idle,
                },
            ]
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
        let pasts = || {
            vec![Past {
                version: 6,
                checkpoints: &points,
            }]
        };
        assert_eq!(KEEP.drop_before(&[5, 6], pasts, |_| 0, true), Some(6));
    }
}
