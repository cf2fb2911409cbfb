//! Those who wait for versions of one namespace. They are let go behind the commit, in slices.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use crate::dispatch::Slice;
use crate::limits::{GUEST_VERSION_WAITERS, VERSION_WAITERS, WAKE_VISITS};
use crate::places::Places;
use crate::reference::Position;
use crate::request::Tenant;

/// Who waits, and where the answer goes.
type Waiting = Vec<(Tenant, oneshot::Sender<Position>)>;

/// Those who wait for versions.
#[derive(Default)]
pub(crate) struct Waiters {
    by_version: BTreeMap<u64, Waiting>,
    /// Those who wait no longer, and the position that they are told; none: the namespace is gone.
    leaving: Vec<(Waiting, Option<Position>)>,
    places: Places,
    /// Whether somebody is to advance them.
    queued: bool,
}

impl Waiters {
    /// Adds somebody who waits for a version.
    ///
    /// # Errors
    /// How many wait already, if it is too many.
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

    /// Forgets those that went away.
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

    /// Lets everybody go.
    pub(crate) fn dismiss(&mut self, answer: Option<Position>) {
        let all = std::mem::take(&mut self.by_version);
        let all = all.into_values().map(|waiting| (waiting, answer));
        self.leaving.extend(all);
    }

    /// Whether somebody waits no longer and nobody was told to see to it yet; the caller does.
    pub(crate) fn is_due(&mut self, published: u64) -> bool {
        let due = !self.queued && self.is_behind(published);
        self.queued |= due;
        due
    }

    fn is_behind(&self, published: u64) -> bool {
        let first = self.by_version.first_key_value();
        !self.leaving.is_empty() || first.is_some_and(|(wanted, _)| *wanted <= published)
    }

    /// Answers those who wait no longer, as far as the slice goes; whether all are.
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
                        // A waiter that went away does not want to know.
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
