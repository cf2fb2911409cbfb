//! The watches of a namespace, as they are registered and as they are woken.

use std::sync::Arc;

use kvs_tree::Scope;

use super::{Namespace, lock};
use crate::dispatch::{Dispatch, Slice, Wake};
use crate::error::{EngineError, ErrorKind};
use crate::history::RootAt;
use crate::lanes::{LaneNumber, WatchId};
use crate::limits::{MARK_VISITS, WATCHES};
use crate::request::Tenant;

/// Who is to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Watches.
    Lane(LaneNumber),
    /// Those who wait for versions.
    Waiters,
}

/// What came of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advanced {
    /// Nothing is left to do.
    pub(crate) done: bool,
    /// How many versions were not matched when it began.
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

    /// What is to be advanced and was not said to be before; the caller sees to it.
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

    /// Finds out who is to be woken, as far as the slice goes; whether that is done. More than `lag`
    /// versions behind, watches are woken without looking whether they are concerned.
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

    /// Registers a watch at an exact version: everything after `read` counts as unread;
    /// without `read`, everything after the version that is published at this moment, which is
    /// returned.
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
        // Looked at under the lock: whatever is published later is matched later.
        let now = self.published.load_full();
        let read = read.unwrap_or(now.version);
        let added = watches.add(tenant, scopes, read, now.version, wake);
        let Some(id) = added else {
            let message = format!("too many users watch namespace {} with patterns", self.name);
            return Err(EngineError::new(ErrorKind::Limit, message));
        };
        Ok((id, now))
    }

    /// Whom a watch wakes.
    pub(crate) fn wake_of(&self, id: WatchId) -> Option<Wake> {
        let mut watches = lock(&self.watches);
        let (lane, number) = watches.of(id)?;
        lane.wake_of(number)
    }

    /// The newest version up to which no version concerns the watch, if nothing waits to be read by
    /// it. What was published and is not matched yet is matched first, if it is little.
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

    /// The newest version, if nothing up to it waits to be read by the watch, which has read up to
    /// `read`. Otherwise the watch has a hit now; what is not matched yet is for it to look at.
    pub(crate) fn up_to_date(&self, id: WatchId, read: u64) -> Option<Arc<RootAt>> {
        let mut watches = lock(&self.watches);
        let now = self.published.load_full();
        let (lane, number) = watches.of(id)?;
        let behind = lane.run_ahead(number, read, now.version);
        (!behind && lane.hit(number).is_none()).then_some(now)
    }

    /// Removes a watch that is registered for `scopes`.
    pub(crate) fn unsubscribe(&self, id: WatchId, scopes: &[Scope]) {
        lock(&self.watches).remove(id, scopes);
    }

    /// Exchanges scopes of a watch that has read everything up to `read`: whatever came since counts
    /// as unread, since it was looked at for the old ones.
    pub(crate) fn exchange(&self, id: WatchId, read: u64, old: &[Scope], new: &[Scope]) {
        let mut watches = lock(&self.watches);
        if let Some((lane, number)) = watches.of(id) {
            lane.release(number, old);
            lane.hold(number, new);
            lane.settle(number, read, self.published.load().version);
        }
    }

    /// The first version from which the watch has something to read, having read up to `read`; `None`
    /// if there is nothing up to the version that is published now, in which case its wake will be
    /// called when there is. What is not matched yet is for a watch that asks to look at.
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
