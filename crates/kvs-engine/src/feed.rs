//! What is told to nobody in particular: how far the journal is published, and that a namespace was
//! made. Followers of roots and whoever waits for a namespace are woken from here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dispatch::Wake;
use crate::error::{EngineError, ErrorKind};
use crate::limits::{FOLLOWERS, GUEST_FOLLOWERS};
use crate::places::Places;
use crate::request::Principal;

#[derive(Default)]
struct Waiting {
    last: u64,
    places: Places,
    /// With whether they were woken since they last looked.
    followers: BTreeMap<u64, (Wake, bool)>,
    for_namespaces: BTreeMap<u64, Wake>,
}

/// The store-wide news.
#[derive(Default)]
pub(crate) struct Feed {
    group: AtomicU64,
    waiting: Mutex<Waiting>,
}

/// A place among those who are woken; dropping it gives it up.
pub(crate) struct FeedGuard {
    feed: Arc<Feed>,
    principal: Principal,
    id: u64,
}

impl Drop for FeedGuard {
    fn drop(&mut self) {
        let mut waiting = self.feed.waiting();
        waiting.followers.remove(&self.id);
        waiting.for_namespaces.remove(&self.id);
        waiting.places.give_back(self.principal);
    }
}

impl FeedGuard {
    /// The newest group that is published; whoever asks is woken when there is a newer one.
    pub(crate) fn newest(&self) -> u64 {
        let mut waiting = self.feed.waiting();
        if let Some((_, woken)) = waiting.followers.get_mut(&self.id) {
            *woken = false;
        }
        self.feed.newest()
    }
}

impl Feed {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest group whose records everybody may see.
    pub(crate) fn newest(&self) -> u64 {
        self.group.load(Ordering::Acquire)
    }

    /// Notes that everything up to `group` is published.
    pub(crate) fn published(&self, group: u64, wakes: &mut Vec<Wake>) {
        let mut waiting = self.waiting();
        self.group.store(group, Ordering::Release);
        for (wake, woken) in waiting.followers.values_mut().filter(|(_, woken)| !woken) {
            *woken = true;
            wakes.push(wake.clone());
        }
    }

    /// Notes that a namespace was made.
    pub(crate) fn created(&self, wakes: &mut Vec<Wake>) {
        wakes.extend(self.waiting().for_namespaces.values().cloned());
    }

    /// Wakes `wake` for each published group.
    pub(crate) fn follow(
        self: &Arc<Self>,
        principal: Principal,
        wake: Wake,
    ) -> Result<FeedGuard, EngineError> {
        self.place(principal, |waiting, id| {
            drop(waiting.followers.insert(id, (wake, false)))
        })
    }

    /// Wakes `wake` whenever a namespace is made.
    pub(crate) fn on_created(
        self: &Arc<Self>,
        principal: Principal,
        wake: Wake,
    ) -> Result<FeedGuard, EngineError> {
        self.place(principal, |waiting, id| {
            drop(waiting.for_namespaces.insert(id, wake))
        })
    }

    fn place(
        self: &Arc<Self>,
        principal: Principal,
        put: impl FnOnce(&mut Waiting, u64),
    ) -> Result<FeedGuard, EngineError> {
        let mut waiting = self.waiting();
        let taken = waiting.places.take(principal, FOLLOWERS, GUEST_FOLLOWERS);
        if let Err(most) = taken {
            return Err(EngineError::new(
                ErrorKind::Limit,
                format!("{most} follow roots or wait for namespaces already"),
            ));
        }
        waiting.last += 1;
        let id = waiting.last;
        put(&mut waiting, id);
        Ok(FeedGuard {
            feed: self.clone(),
            principal,
            id,
        })
    }
}
