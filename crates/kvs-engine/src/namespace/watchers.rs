//! Registers the watches of a namespace and finds those to wake.

use std::sync::Arc;

use kvs_tree::Scope;

use super::{Namespace, lock};
use crate::dispatch::{Dispatch, Slice, Wake};
use crate::error::{EngineError, ErrorKind};
use crate::history::RootAt;
use crate::lanes::{LaneNumber, WatchId};
use crate::limits::{MARK_VISITS, WATCHES};
use crate::request::Tenant;

/// One kind of work after a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Waking the watches of a lane.
    Lane(LaneNumber),
    /// Answering those who wait for a version.
    Waiters,
}

/// The outcome of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advanced {
    /// Whether no work is left.
    pub(crate) done: bool,
    /// The number of unmatched versions when the slice began.
    pub(crate) behind: u64,
}

impl Default for Advanced {
    fn default() -> Self {
        Self {
            done: true,
            behind: 0,
        }
    }
}

impl Namespace {
    pub(super) fn wake_watches(&self) {
        for (_, lane) in lock(&self.watches).iter_mut() {
            lane.dispatch.wake_everybody();
        }
    }

    /// Reports each part that has work and is not queued yet; the caller must advance it.
    pub(crate) fn due(&self, mut part: impl FnMut(Part)) {
        let published = self.published.load().version;
        for (number, lane) in lock(&self.watches).iter_mut() {
            if !lane.queued && lane.dispatch.is_behind(published) {
                lane.queued = true;
                part(Part::Lane(number));
            }
        }
        let mut waiters = lock(&self.waiters);
        if waiters.is_due(published) {
            part(Part::Waiters);
        }
    }

    /// Wakes watches or waiters within one slice. If a lane is more than `lag` versions behind, all
    /// of its watches are woken without matching.
    pub(crate) fn advance(&self, part: Part, lag: u64, slice: &mut Slice) -> Advanced {
        let number = match part {
            Part::Waiters => {
                return Advanced {
                    done: lock(&self.waiters).let_go(self.position(), slice),
                    behind: 0,
                };
            }
            Part::Lane(number) => number,
        };
        let mut watches = lock(&self.watches);
        let Some(lane) = watches.get(number) else {
            return Advanced::default();
        };
        let published = self.published.load().version;
        let behind = match lane.dispatch.is_empty() {
            true => 0,
            false => published.saturating_sub(lane.dispatch.matched()),
        };
        let done = self.advance_lane(&mut lane.dispatch, lag, slice);
        lane.queued = !done;
        Advanced { done, behind }
    }

    fn advance_lane(&self, lane: &mut Dispatch, lag: u64, slice: &mut Slice) -> bool {
        let published = self.published.load().version;
        let record = |version| lock(&self.history).recent_record(version);
        lane.advance(published, lag, record, slice)
    }

    /// Registers a watch at an exact version: everything after `read` counts as unread. Without
    /// `read`, it starts after the version published now, which is returned.
    pub(crate) fn subscribe(
        &self,
        tenant: Tenant,
        scopes: &[Scope],
        read: Option<u64>,
        wake: Wake,
    ) -> Result<(WatchId, Arc<RootAt>), EngineError> {
        let mut watches = lock(&self.watches);
        if watches.len() >= WATCHES {
            return Err(EngineError::new(
                ErrorKind::Limit,
                format!("{WATCHES} watches on namespace {} already", self.name),
            ));
        }
        // Read under the lock: a version published later is matched later.
        let now = self.published.load_full();
        let read = read.unwrap_or(now.version);
        let added = watches.add(tenant, scopes, read, now.version, wake);
        let Some(id) = added else {
            let message = format!("too many users watch namespace {} with patterns", self.name);
            return Err(EngineError::new(ErrorKind::Limit, message));
        };
        Ok((id, now))
    }

    /// The wake of a watch.
    pub(crate) fn wake_of(&self, id: WatchId) -> Option<Wake> {
        let mut watches = lock(&self.watches);
        let (lane, number) = watches.of(id)?;
        lane.wake_of(number)
    }

    /// The version up to which nothing concerns the watch; `None` if it has unread versions. First
    /// matches up to `MARK_VISITS` visits of what is published and not matched yet.
    pub(crate) fn quiet(&self, id: WatchId) -> Option<u64> {
        let mut slice = Slice::new(MARK_VISITS);
        let quiet = {
            let mut watches = lock(&self.watches);
            let (lane, number) = watches.of(id)?;
            self.advance_lane(lane, u64::MAX, &mut slice);
            lane.hit(number).is_none().then_some(lane.matched())
        };
        slice.call();
        quiet
    }

    /// The newest version, if the watch, which has read up to `read`, has nothing unread up to it.
    /// Otherwise `None`, and the watch has a hit; it must examine unmatched versions itself.
    pub(crate) fn up_to_date(&self, id: WatchId, read: u64) -> Option<Arc<RootAt>> {
        let mut watches = lock(&self.watches);
        let now = self.published.load_full();
        let (lane, number) = watches.of(id)?;
        let behind = lane.run_ahead(number, read, now.version);
        (!behind && lane.hit(number).is_none()).then_some(now)
    }

    /// Removes a watch that is registered for exactly `scopes`.
    pub(crate) fn unsubscribe(&self, id: WatchId, scopes: &[Scope]) {
        lock(&self.watches).remove(id, scopes);
    }

    /// Replaces scopes of a watch that has read everything up to `read`. Later versions were
    /// matched against the old scopes, so they count as unread.
    pub(crate) fn exchange(&self, id: WatchId, read: u64, old: &[Scope], new: &[Scope]) {
        let mut watches = lock(&self.watches);
        if let Some((lane, number)) = watches.of(id) {
            lane.release(number, old);
            lane.hold(number, new);
            lane.settle(number, read, self.published.load().version);
        }
    }

    /// The first version after `read` that may concern the watch; `None` if there is none up to the
    /// version published now, and the watch is woken when there is one. Versions that are not
    /// matched yet count as concerning it.
    pub(crate) fn next_hit(&self, id: WatchId, read: u64) -> Option<u64> {
        let mut watches = lock(&self.watches);
        let published = self.published.load().version;
        let (lane, number) = watches.of(id)?;
        match lane.hit(number) {
            Some(hit) if hit > read => return Some(hit),
            Some(_) => lane.settle(number, read, published),
            None => drop(lane.run_ahead(number, read, published)),
        }
        lane.hit(number)
    }
}
