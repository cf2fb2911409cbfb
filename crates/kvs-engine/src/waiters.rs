//! Clients waiting for versions of one namespace. They are answered after the commit, in slices.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use crate::dispatch::Slice;
use crate::limits::{GUEST_VERSION_WAITERS, VERSION_WAITERS, WAKE_VISITS};
use crate::places::Places;
use crate::reference::Position;
use crate::request::Tenant;

/// The waiters for one version, and where their answers go.
type Waiting = Vec<(Tenant, oneshot::Sender<Position>)>;

/// All waiters of a namespace.
#[derive(Default)]
pub(crate) struct Waiters {
    by_version: BTreeMap<u64, Waiting>,
    /// Waiters to be answered, and their answer; `None`: the namespace was removed.
    leaving: Vec<(Waiting, Option<Position>)>,
    places: Places,
    /// Whether the waiters are queued for [`let_go`](Self::let_go).
    queued: bool,
}

impl Waiters {
    /// Adds a waiter for a version.
    ///
    /// # Errors
    /// The limit, if it is reached.
    pub(crate) fn add(
        &mut self,
        tenant: Tenant,
        version: u64,
    ) -> Result<oneshot::Receiver<Position>, usize> {
        let take = |waiters: &mut Self| {
            let places = &mut waiters.places;
            places.take(tenant, VERSION_WAITERS, GUEST_VERSION_WAITERS)
        };
        if take(self).is_err() {
            self.tidy();
            take(self)?;
        }
        let (sender, receiver) = oneshot::channel();
        let waiting = self.by_version.entry(version).or_default();
        waiting.push((tenant, sender));
        Ok(receiver)
    }

    /// Removes waiters that were cancelled.
    fn tidy(&mut self) {
        for list in self.by_version.values_mut() {
            list.retain(|(tenant, waiter)| {
                let gone = waiter.is_closed();
                if gone {
                    self.places.give_back(*tenant);
                }
                !gone
            });
        }
        self.by_version.retain(|_, list| !list.is_empty());
    }

    /// Ends all waits with `answer`.
    pub(crate) fn dismiss(&mut self, answer: Option<Position>) {
        let all = std::mem::take(&mut self.by_version);
        let all = all.into_values().map(|waiting| (waiting, answer));
        self.leaving.extend(all);
    }

    /// Whether there are waiters to answer and they are not queued yet. If so, the caller must
    /// queue them.
    pub(crate) fn is_due(&mut self, published: u64) -> bool {
        let due = !self.queued && self.is_behind(published);
        self.queued |= due;
        due
    }

    fn is_behind(&self, published: u64) -> bool {
        let first = self.by_version.first_key_value();
        !self.leaving.is_empty() || first.is_some_and(|(wanted, _)| *wanted <= published)
    }

    /// Answers waiters that are due, within one slice; true when all are answered.
    pub(crate) fn let_go(&mut self, now: Position, slice: &mut Slice) -> bool {
        while self.is_behind(now.version) {
            if slice.is_over() {
                return false;
            }
            slice.visit();
            let Some((waiting, answer)) = self.leaving.last_mut() else {
                let first = self.by_version.pop_first();
                self.leaving
                    .extend(first.map(|(_, waiting)| (waiting, Some(now))));
                continue;
            };
            match (waiting.pop(), answer) {
                (Some((tenant, sender)), answer) => {
                    self.places.give_back(tenant);
                    slice.visits = slice.visits.saturating_sub(WAKE_VISITS);
                    if let Some(position) = answer {
                        // The waiter may have been cancelled.
                        let _ = sender.send(*position);
                    }
                }
                (None, _) => drop(self.leaving.pop()),
            }
        }
        self.queued = false;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(version: u64) -> Position {
        Position {
            incarnation: 1,
            version,
        }
    }

    #[test]
    fn all_who_wait_for_a_version_are_let_go_in_slices_and_others_stay() {
        let mut waiters = Waiters::default();
        let mut wait = |version| waiters.add(Tenant::Owner, version).unwrap();
        let mut due: Vec<_> = (0..500).map(|n| wait(n % 3 + 1)).collect();
        let mut later = wait(4);
        assert!(waiters.is_due(3) && !waiters.is_due(3));
        let mut slice = Slice::new(160);
        assert!(!waiters.let_go(at(3), &mut slice));
        let mut told = due.iter_mut().filter_map(|one| one.try_recv().ok()).count();
        assert!(told > 0 && told <= 10, "{told}");
        while !waiters.let_go(at(3), &mut Slice::new(160)) {}
        told += due.iter_mut().filter_map(|one| one.try_recv().ok()).count();
        assert_eq!(told, 500);
        assert!(later.try_recv().is_err() && !waiters.is_due(3));
        waiters.dismiss(None);
        assert!(waiters.is_due(3) && waiters.let_go(at(3), &mut Slice::new(160)));
        assert!(matches!(
            later.try_recv(),
            Err(oneshot::error::TryRecvError::Closed)
        ));
    }
}
