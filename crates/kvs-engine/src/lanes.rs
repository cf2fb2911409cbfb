//! The watches of a namespace in lanes, each matched on its own.
//!
//! Watches of keys and directories share one lane: matching them is cheap, however many there are.
//! Watches with a pattern have a lane per tenant, so that one tenant's costly patterns delay nobody
//! else.

use std::collections::HashMap;

use kvs_tree::Scope;

use crate::dispatch::{Dispatch, Wake, WatchNumber};
use crate::request::Tenant;

/// The number of a lane within its namespace; reused once its last watch is removed.
pub(crate) type LaneNumber = u16;

/// The lane of keys and directories.
const SHARED: LaneNumber = 0;

/// Identifies a watch within its namespace; reused once the watch is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WatchId {
    number: WatchNumber,
    lane: LaneNumber,
}

#[derive(Default)]
pub(crate) struct Lane {
    tenant: Option<Tenant>,
    pub(crate) dispatch: Dispatch,
    /// Whether the lane is queued for matching.
    pub(crate) queued: bool,
}

/// All watches of one namespace.
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    by_tenant: HashMap<Tenant, LaneNumber>,
    free: Vec<LaneNumber>,
    watches: usize,
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            lanes: vec![Lane::default()],
            by_tenant: HashMap::new(),
            free: Vec::new(),
            watches: 0,
        }
    }
}

impl Lanes {
    /// The number of watches.
    pub(crate) fn len(&self) -> usize {
        self.watches
    }

    /// Adds a watch, see [`Dispatch::add`]; `None` if lane numbers are exhausted.
    pub(crate) fn add(
        &mut self,
        tenant: Tenant,
        scopes: &[Scope],
        read: u64,
        published: u64,
        wake: Wake,
    ) -> Option<WatchId> {
        let patterned = scopes.iter().any(|scope| matches!(scope, Scope::Glob(_)));
        let number = match patterned {
            true => self.lane_of(tenant)?,
            false => SHARED,
        };
        let lane = self.lanes.get_mut(usize::from(number))?;
        let id = lane.dispatch.add(scopes, read, published, wake);
        self.watches += 1;
        Some(WatchId {
            number: id,
            lane: number,
        })
    }

    fn lane_of(&mut self, tenant: Tenant) -> Option<LaneNumber> {
        if let Some(&number) = self.by_tenant.get(&tenant) {
            return Some(number);
        }
        let number = match self.free.pop() {
            Some(number) => number,
            None => {
                let number = LaneNumber::try_from(self.lanes.len()).ok()?;
                self.lanes.push(Lane::default());
                number
            }
        };
        self.lanes.get_mut(usize::from(number))?.tenant = Some(tenant);
        self.by_tenant.insert(tenant, number);
        Some(number)
    }

    /// Removes a watch that is registered for exactly `scopes`.
    pub(crate) fn remove(&mut self, id: WatchId, scopes: &[Scope]) {
        let Some(lane) = self.lanes.get_mut(usize::from(id.lane)) else {
            return;
        };
        lane.dispatch.remove(id.number, scopes);
        self.watches -= 1;
        if lane.dispatch.is_empty()
            && let Some(tenant) = lane.tenant.take()
        {
            self.by_tenant.remove(&tenant);
            self.free.push(id.lane);
        }
    }

    /// The lane of a watch, and the watch's number in it.
    pub(crate) fn of(&mut self, id: WatchId) -> Option<(&mut Dispatch, WatchNumber)> {
        let lane = self.lanes.get_mut(usize::from(id.lane))?;
        Some((&mut lane.dispatch, id.number))
    }

    /// The lane with this number.
    pub(crate) fn get(&mut self, number: LaneNumber) -> Option<&mut Lane> {
        self.lanes.get_mut(usize::from(number))
    }

    /// All lanes, the shared one first.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (LaneNumber, &mut Lane)> {
        (0..).zip(self.lanes.iter_mut())
    }
}
