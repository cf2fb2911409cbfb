//! What the executor writes for a job, and what a status client must find with each state.
//!
//! Every transition is one transaction that writes the state and three companion keys. If a reader
//! finds companions in the event's snapshot that differ from [`Transition::expected`], the state
//! has drifted.

/// The states of a job, in order; every job goes through all of them.
pub(crate) const STATES: [&str; 6] = [
    "submitted",
    "allocated",
    "starting",
    "running",
    "completing",
    "complete",
];

/// The directory that holds all jobs.
const JOBS: &str = "lwj";

/// The scope that a status client watches: the states of all jobs, in one stream.
pub(crate) const STATE_SCOPE: &str = "lwj.*.state";

/// One step of one job: the job and which of [`STATES`] it entered.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Transition {
    /// Job number, from 1.
    pub(crate) job: u32,
    /// Index into [`STATES`], 0 to 5.
    pub(crate) step: u8,
}

impl Transition {
    /// All transitions of a job, in order.
    pub(crate) fn of_job(job: u32) -> impl Iterator<Item = Transition> {
        (0u8..)
            .zip(STATES)
            .map(move |(step, _)| Transition { job, step })
    }

    /// The transition that an event reports, if its key and value are those of a job's state.
    pub(crate) fn from_change(key: &str, value: &[u8]) -> Option<Transition> {
        let number = key
            .strip_prefix(JOBS)?
            .strip_prefix('.')?
            .strip_suffix(".state")?;
        let job = number.parse().ok()?;
        let state = std::str::from_utf8(value).ok()?;
        let step = STATES.iter().position(|known| *known == state)?;
        Some(Transition {
            job,
            step: u8::try_from(step).ok()?,
        })
    }

    /// Name of the state that was entered.
    pub(crate) fn state(self) -> &'static str {
        STATES
            .get(usize::from(self.step))
            .copied()
            .unwrap_or("unknown")
    }

    /// Key of a member of the job: `lwj.<id>.<member>`.
    pub(crate) fn key(self, member: &str) -> String {
        format!("{JOBS}.{}.{member}", self.job)
    }

    /// The line that this transition appends to the job's eventlog.
    pub(crate) fn log_line(self) -> String {
        format!("{} {}\n", self.step, self.state())
    }

    /// The members of a job that change together with its state.
    pub(crate) const COMPANIONS: [&'static str; 3] = ["transitions", "note", "eventlog"];

    /// The value of a companion in the version that this transition made.
    pub(crate) fn expected(self, companion: &str) -> String {
        match companion {
            "transitions" => (u32::from(self.step) + 1).to_string(),
            "note" => format!("job {} is {}", self.job, self.state()),
            _ => (0..=self.step)
                .map(|step| {
                    Transition {
                        job: self.job,
                        step,
                    }
                    .log_line()
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_change_is_recognised() {
        let seen = Transition::from_change("lwj.17.state", b"running");
        assert_eq!(seen, Some(Transition { job: 17, step: 3 }));
        assert_eq!(Transition { job: 17, step: 3 }.key("state"), "lwj.17.state");
    }

    #[test]
    fn other_keys_and_values_are_not_transitions() {
        for (key, value) in [
            ("lwj.17.note", "running"),
            ("lwj.x.state", "running"),
            ("lwj.17.state", "lost"),
        ] {
            assert_eq!(
                Transition::from_change(key, value.as_bytes()),
                None,
                "{key}={value}"
            );
        }
    }

    #[test]
    fn companions_differ_at_every_step() {
        for companion in Transition::COMPANIONS {
            let mut seen: Vec<_> = Transition::of_job(1)
                .map(|t| t.expected(companion))
                .collect();
            seen.dedup();
            assert_eq!(seen.len(), STATES.len(), "{companion}");
        }
    }
}
