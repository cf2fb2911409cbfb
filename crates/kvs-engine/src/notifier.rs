//! Store-wide notifications: the newest published group, and namespaces created. Wakes followers,
//! and watches and callers that wait for a namespace, in slices.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dispatch::{Slice, Wake};
use crate::error::{EngineError, ErrorKind};
use crate::limits::{FOLLOWERS, GUEST_FOLLOWERS};
use crate::places::Places;
use crate::request::Tenant;

/// A follower. `seen` is the newest group it has seen, or `None` once it was woken.
struct Following {
    wake: Wake,
    seen: Option<u64>,
}

#[derive(Default)]
struct Waiting {
    last: u64,
    places: Places,
    followers: BTreeMap<u64, Following>,
    /// Followers not woken since they last looked, by the group seen then.
    armed: BTreeSet<(u64, u64)>,
    for_namespaces: BTreeMap<u64, Wake>,
    /// While waiters for a namespace are being woken: the last one woken.
    creating: Option<u64>,
    /// Whether another namespace was created meanwhile.
    again: bool,
    /// Whether [`advance`](Notifier::advance) is queued.
    queued: bool,
}

impl Waiting {
    fn arm(&mut self, id: u64, group: u64) {
        if let Some(follower) = self.followers.get_mut(&id) {
            if let Some(seen) = follower.seen.replace(group) {
                self.armed.remove(&(seen, id));
            }
            self.armed.insert((group, id));
        }
    }

    fn is_behind(&self, newest: u64) -> bool {
        let armed = self.armed.first();
        self.creating.is_some() || armed.is_some_and(|(seen, _)| *seen < newest)
    }
}

/// Store-wide notifications.
#[derive(Default)]
pub(crate) struct Notifier {
    group: AtomicU64,
    waiting: Mutex<Waiting>,
}

/// A registration with the notifier. Dropping it unregisters.
pub(crate) struct NotifierGuard {
    feed: Arc<Notifier>,
    tenant: Tenant,
    id: u64,
}

impl Drop for NotifierGuard {
    fn drop(&mut self) {
        let mut waiting = self.feed.waiting();
        if let Some(Some(seen)) = waiting.followers.remove(&self.id).map(|one| one.seen) {
            waiting.armed.remove(&(seen, self.id));
        }
        waiting.for_namespaces.remove(&self.id);
        waiting.places.give_back(self.tenant);
    }
}

impl NotifierGuard {
    /// The newest published group; re-arms the wake for newer ones.
    pub(crate) fn newest(&self) -> u64 {
        let mut waiting = self.feed.waiting();
        let newest = self.feed.newest();
        waiting.arm(self.id, newest);
        newest
    }
}

impl Notifier {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest published group.
    pub(crate) fn newest(&self) -> u64 {
        self.group.load(Ordering::Acquire)
    }

    /// Notes that everything up to `group` is published.
    pub(crate) fn published(&self, group: u64) {
        let _waiting = self.waiting();
        self.group.store(group, Ordering::Release);
    }

    /// Notes that a namespace was created.
    pub(crate) fn created(&self) {
        let mut waiting = self.waiting();
        if waiting.for_namespaces.is_empty() {
            return;
        }
        waiting.again |= waiting.creating.is_some();
        waiting.creating = waiting.creating.or(Some(0));
    }

    /// Whether there is something to wake and `advance` is not queued yet. If so, the caller must
    /// queue it.
    pub(crate) fn is_due(&self) -> bool {
        let mut waiting = self.waiting();
        let due = !waiting.queued && waiting.is_behind(self.newest());
        waiting.queued |= due;
        due
    }

    /// Wakes those that are due, within one slice; true when finished.
    pub(crate) fn advance(&self, slice: &mut Slice) -> bool {
        let mut waiting = self.waiting();
        let newest = self.newest();
        while waiting.is_behind(newest) {
            if slice.is_over() {
                return false;
            }
            slice.visit();
            if let Some(last) = waiting.creating {
                let behind = (Bound::Excluded(last), Bound::Unbounded);
                let next = waiting.for_namespaces.range(behind).next();
                let next = next.map(|(id, wake)| (*id, wake.clone()));
                waiting.creating = match next {
                    Some((id, wake)) => {
                        slice.wake(wake);
                        Some(id)
                    }
                    None => std::mem::take(&mut waiting.again).then_some(0),
                };
            } else if let Some((_, id)) = waiting.armed.pop_first()
                && let Some(follower) = waiting.followers.get_mut(&id)
            {
                follower.seen = None;
                slice.wake(follower.wake.clone());
            }
        }
        waiting.queued = false;
        true
    }

    /// Registers `wake` for published groups. After a wake it is re-armed by
    /// [`NotifierGuard::newest`].
    pub(crate) fn follow(
        self: &Arc<Self>,
        tenant: Tenant,
        wake: Wake,
    ) -> Result<NotifierGuard, EngineError> {
        let newest = self.newest();
        self.place(tenant, |waiting, id| {
            let seen = None;
            waiting.followers.insert(id, Following { wake, seen });
            waiting.arm(id, newest);
        })
    }

    /// Registers `wake` for each creation of a namespace.
    pub(crate) fn on_created(
        self: &Arc<Self>,
        tenant: Tenant,
        wake: Wake,
    ) -> Result<NotifierGuard, EngineError> {
        self.place(tenant, |waiting, id| {
            drop(waiting.for_namespaces.insert(id, wake))
        })
    }

    fn place(
        self: &Arc<Self>,
        tenant: Tenant,
        put: impl FnOnce(&mut Waiting, u64),
    ) -> Result<NotifierGuard, EngineError> {
        let mut waiting = self.waiting();
        let taken = waiting.places.take(tenant, FOLLOWERS, GUEST_FOLLOWERS);
        if let Err(most) = taken {
            return Err(EngineError::new(
                ErrorKind::Limit,
                format!("{most} follow roots or wait for namespaces already"),
            ));
        }
        waiting.last += 1;
        let id = waiting.last;
        put(&mut waiting, id);
        Ok(NotifierGuard {
            feed: self.clone(),
            tenant,
            id,
        })
    }
}
