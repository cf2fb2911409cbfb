//! The end of `kvs watch --to`: reached when the version is printed, or when a later event or
//! bookmark shows that it is past.

use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use kvs_client::{ClientError, Event, Namespace, Position};
use tokio::time::{Instant, sleep_until};

use super::events::is_last;
use crate::limits::MARK_PAUSE;

/// The end condition of a watch.
#[derive(Debug)]
pub(super) struct Until {
    /// The last version to print; `None` for no end.
    to: Option<u64>,
    over: bool,
    /// The initial state is still to be printed, whatever its version.
    state_wanted: bool,
    /// A version past the end is being printed.
    last_shown: bool,
    /// The first state delivered after a gap that includes the last version.
    missed: Option<u64>,
}

impl Until {
    /// The end condition of a watch. Without the `initial` state, the watch begins after `started`.
    pub(super) fn new(to: Option<u64>, initial: bool, started: Option<Position>) -> Self {
        let mut until = Self {
            to,
            over: false,
            state_wanted: initial,
            last_shown: false,
            missed: None,
        };
        if let Some(position) = started.filter(|_| !initial) {
            until.reach(position.version);
        }
        until
    }

    /// Whether nothing more is to be printed.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Why the last version was not delivered, if it was not.
    pub(super) fn missed(&self) -> Option<String> {
        let (to, missed) = (self.to?, self.missed?);
        Some(format!(
            "version {to} of --to is not retained any more; the state at version {missed} is the first after it"
        ))
    }

    /// Records an event. Returns whether to print it.
    pub(super) fn takes(&mut self, event: &Event) -> bool {
        let (Some(to), Some(position)) = (self.to, event.position()) else {
            return true;
        };
        let version = position.version;
        let last = is_last(event);
        match event {
            Event::Initial(_) if self.state_wanted => {
                self.state_wanted = !last;
                if last {
                    self.reach(version);
                }
                true
            }
            Event::Initial(_) | Event::Changes(_) => {
                // In mode latest, a newer version replaces those before it.
                let stands_for = match event {
                    Event::Changes(changes) => changes.skipped > 0,
                    _ => false,
                };
                let shown = version <= to || self.last_shown || stands_for;
                self.last_shown = shown && !last && version > to;
                // Changes in another namespace accompany the version that they name.
                let beside = match event {
                    Event::Changes(changes) => changes.behind.is_some(),
                    _ => false,
                };
                if !shown || (last && !(beside && version == to)) {
                    self.reach(version);
                }
                shown
            }
            Event::Gap(gap) => {
                if gap.from.version >= to {
                    self.reach(gap.from.version);
                } else if version > to {
                    self.missed = Some(version);
                    self.over = true;
                    return true;
                }
                !self.over
            }
            Event::Mark(_) | Event::Created(_) => {
                self.reach(version);
                version <= to
            }
            _ => true,
        }
    }

    fn reach(&mut self, version: u64) {
        self.over |= self.to.is_some_and(|to| version >= to);
    }
}

/// Completes when a namespace reaches a version.
type Reached = Pin<Box<dyn Future<Output = Result<Position, ClientError>> + Send>>;

/// When to request a bookmark: the end may be past without an event that shows it.
pub(super) struct Asking {
    /// Pending until the version is reached.
    reached: Option<Reached>,
    /// Time of the next request.
    at: Option<Instant>,
}

impl Asking {
    /// Makes no requests.
    pub(super) fn never() -> Self {
        Self {
            reached: None,
            at: None,
        }
    }

    /// Makes the first request once the namespace has reached the version.
    pub(super) fn about(namespace: Namespace, version: u64) -> Self {
        let reached = async move { namespace.wait(version, None).await };
        Self {
            reached: Some(Box::pin(reached)),
            at: None,
        }
    }

    /// Waits until a bookmark is to be requested. Cancel-safe.
    pub(super) async fn due(&mut self) -> Result<(), ClientError> {
        if let Some(reached) = &mut self.reached {
            reached.await?;
            (self.reached, self.at) = (None, Some(Instant::now()));
        }
        match self.at {
            Some(at) => sleep_until(at).await,
            None => pending().await,
        }
        self.at = None;
        Ok(())
    }

    /// Schedules the next request after an event that was not the last. `behind`: a bookmark has
    /// shown that the matcher has not reached the version.
    pub(super) fn again(&mut self, behind: bool) {
        if self.reached.is_none() {
            let pause = if behind { MARK_PAUSE } else { Duration::ZERO };
            self.at = Some(Instant::now() + pause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(version: u64) -> Position {
        Position {
            version,
            incarnation: 1,
        }
    }

    #[test]
    fn a_mark_at_or_behind_the_version_ends_the_watch() {
        let mut until = Until::new(Some(5), false, Some(at(3)));
        assert!(until.takes(&Event::Mark(at(4))) && !until.is_over());
        assert!(until.takes(&Event::Mark(at(5))) && until.is_over());
        let mut until = Until::new(Some(5), false, Some(at(3)));
        assert!(!until.takes(&Event::Mark(at(9))) && until.is_over());
    }

    #[test]
    fn a_watch_that_begins_at_its_end_is_over() {
        assert!(Until::new(Some(5), false, Some(at(5))).is_over());
        assert!(!Until::new(Some(5), false, Some(at(4))).is_over());
        assert!(!Until::new(Some(5), true, Some(at(9))).is_over());
        assert!(!Until::new(None, false, Some(at(9))).is_over());
        assert!(!Until::new(Some(0), false, None).is_over());
    }

    fn gap(from: u64, to: u64) -> Event {
        let gap = kvs_proto::Gap {
            from: at(from),
            to: at(to),
            snapshot: "".into(),
        };
        Event::Gap(gap.into())
    }

    #[test]
    fn a_gap_over_the_version_is_told_and_is_an_error() {
        let begun = || Until::new(Some(5), false, Some(at(1)));
        let mut until = begun();
        assert!(until.takes(&gap(1, 9)) && until.is_over());
        let missed = until.missed().unwrap();
        assert!(
            missed.starts_with("version 5 of --to is not retained"),
            "{missed}"
        );
        let mut until = begun();
        assert!(
            until.takes(&gap(1, 5)) && !until.is_over(),
            "its state comes"
        );
        let mut until = begun();
        assert!(!until.takes(&gap(5, 9)) && until.is_over() && until.missed().is_none());
    }
}
