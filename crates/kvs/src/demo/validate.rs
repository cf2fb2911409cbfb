//! Compares what a status client handled with what the executor wrote.
//!
//! Pure. The executor knows the version of each transition. A client must have handled each
//! transition once, in that version, with rising versions. Every deviation is counted under its
//! name.

use std::collections::HashMap;

use super::job::Transition;
use super::record::Handled;

/// A transition as acknowledged to the executor.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// The version of the commit.
    pub(crate) version: u64,
    pub(crate) transition: Transition,
}

/// Counts of one client's transitions.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// All events about transitions, right or wrong.
    pub(crate) delivered: u64,
    /// Written but never delivered.
    pub(crate) missed: u64,
    /// Delivered again, or never written.
    pub(crate) duplicated: u64,
    /// Delivered after a later one, or in another version than it was written in.
    pub(crate) out_of_order: u64,
    /// Delivered with companions that did not match the state.
    pub(crate) drifted: u64,
}

impl Verdict {
    /// Whether there was no deviation.
    pub(crate) fn is_clean(&self) -> bool {
        [
            self.missed,
            self.duplicated,
            self.out_of_order,
            self.drifted,
        ] == [0; 4]
    }

    /// Adds the counts of another client.
    pub(crate) fn add(&mut self, other: &Verdict) {
        self.delivered += other.delivered;
        self.missed += other.missed;
        self.duplicated += other.duplicated;
        self.out_of_order += other.out_of_order;
        self.drifted += other.drifted;
    }
}

/// Checks one client. Cost: linear in the number of transitions.
pub(crate) fn judge(written: &[Written], handled: &[Handled]) -> Verdict {
    let versions: HashMap<Transition, u64> = written
        .iter()
        .map(|entry| (entry.transition, entry.version))
        .collect();
    let mut times: HashMap<Transition, u64> = HashMap::with_capacity(versions.len());
    let mut newest_step: HashMap<u32, u8> = HashMap::new();
    let mut newest_version = 0;
    let mut verdict = Verdict::default();
    for event in handled {
        verdict.drifted += event.drifted;
        let late = event.version <= newest_version;
        newest_version = newest_version.max(event.version);
        for transition in &event.transitions {
            verdict.delivered += 1;
            let seen = times.entry(*transition).or_insert(0);
            *seen += 1;
            let Some(version) = versions.get(transition) else {
                verdict.duplicated += 1;
                continue;
            };
            if *seen > 1 {
                verdict.duplicated += 1;
                continue;
            }
            let behind = match newest_step.get(&transition.job) {
                Some(step) => transition.step < *step,
                None => false,
            };
            if late || behind || *version != event.version {
                verdict.out_of_order += 1;
            }
            let newest = newest_step.entry(transition.job).or_insert(transition.step);
            *newest = transition.step.max(*newest);
        }
    }
    verdict.missed = versions
        .keys()
        .filter(|transition| !times.contains_key(*transition))
        .count() as u64;
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two jobs in lockstep: the transitions of a step share a version.
    fn written() -> Vec<Written> {
        (1..=2)
            .flat_map(|job| {
                Transition::of_job(job).map(|transition| Written {
                    version: u64::from(transition.step) + 1,
                    transition,
                })
            })
            .collect()
    }

    fn handled() -> Vec<Handled> {
        (0..6)
            .map(|step| Handled {
                version: u64::from(step) + 1,
                transitions: (1..=2).map(|job| Transition { job, step }).collect(),
                drifted: 0,
            })
            .collect()
    }

    #[test]
    fn a_perfect_record_is_clean() {
        let verdict = judge(&written(), &handled());
        assert!(verdict.is_clean());
        assert_eq!(verdict.delivered, 12);
    }

    #[test]
    fn a_planted_miss_is_counted() {
        let mut handled = handled();
        handled[3].transitions.pop();
        let verdict = judge(&written(), &handled);
        assert_eq!(
            verdict,
            Verdict {
                delivered: 11,
                missed: 1,
                ..Verdict::default()
            }
        );
    }

    #[test]
    fn a_lost_version_misses_all_its_transitions() {
        let mut handled = handled();
        handled.remove(2);
        assert_eq!(judge(&written(), &handled).missed, 2);
    }

    #[test]
    fn a_planted_duplicate_is_counted() {
        let mut handled = handled();
        let again = handled[3].transitions[0];
        handled[3].transitions.push(again);
        let verdict = judge(&written(), &handled);
        assert_eq!(
            verdict,
            Verdict {
                delivered: 13,
                duplicated: 1,
                ..Verdict::default()
            }
        );
    }

    #[test]
    fn a_repeated_version_is_counted() {
        let mut handled = handled();
        let again = handled[4].clone();
        handled.push(again);
        let verdict = judge(&written(), &handled);
        assert_eq!((verdict.duplicated, verdict.missed), (2, 0));
    }

    #[test]
    fn a_transition_that_was_never_written_is_counted() {
        let mut handled = handled();
        handled[0].transitions.push(Transition { job: 3, step: 0 });
        assert_eq!(judge(&written(), &handled).duplicated, 1);
    }

    #[test]
    fn a_planted_reorder_is_counted() {
        let mut handled = handled();
        handled.swap(1, 2);
        let verdict = judge(&written(), &handled);
        assert_eq!(
            verdict,
            Verdict {
                delivered: 12,
                out_of_order: 2,
                ..Verdict::default()
            }
        );
    }

    #[test]
    fn a_transition_under_the_wrong_version_is_out_of_order() {
        let mut handled = handled();
        let moved = handled[1].transitions.remove(0);
        handled[2].transitions.push(moved);
        assert!(judge(&written(), &handled).out_of_order >= 1);
    }

    #[test]
    fn planted_drift_is_counted() {
        let mut handled = handled();
        handled[5].drifted = 2;
        let verdict = judge(&written(), &handled);
        assert_eq!(
            verdict,
            Verdict {
                delivered: 12,
                drifted: 2,
                ..Verdict::default()
            }
        );
    }
}
