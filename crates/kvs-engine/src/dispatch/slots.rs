//! The watches of a lane: the wake of each, and its first unread version.

use super::wake::{Slice, Wake};

/// The number of a watch within its lane; reused once the watch is removed.
pub(crate) type WatchNumber = u32;

/// The state of a watch: idle with the version it has read up to, or with a *hit*, the first unread
/// version that may concern it. Versions stay below 2^63.
#[derive(Clone, Copy)]
struct Place(u64);

const HIT: u64 = 1 << 63;

impl Place {
    fn idle(read: u64) -> Self {
        Self(read & !HIT)
    }

    fn hit_at(version: u64) -> Self {
        Self(version | HIT)
    }

    fn hit(self) -> Option<u64> {
        (self.0 & HIT != 0).then_some(self.0 & !HIT)
    }

    fn read(self) -> Option<u64> {
        (self.0 & HIT == 0).then_some(self.0)
    }
}

struct Slot {
    wake: Wake,
    place: Place,
}

/// All watches of a lane.
#[derive(Default)]
pub(super) struct Slots {
    slots: Vec<Option<Slot>>,
    free: Vec<WatchNumber>,
}

impl Slots {
    /// Adds a watch that has read everything up to `read`; with `hit`, the next version is its hit.
    pub(super) fn add(&mut self, read: u64, hit: bool, wake: Wake) -> WatchNumber {
        let place = match hit {
            true => Place::hit_at(read + 1),
            false => Place::idle(read),
        };
        let slot = Some(Slot { wake, place });
        if let Some(id) = self.free.pop()
            && let Some(empty) = self.slots.get_mut(id as usize)
        {
            *empty = slot;
            return id;
        }
        self.slots.push(slot);
        (self.slots.len() - 1) as WatchNumber
    }

    pub(super) fn remove(&mut self, id: WatchNumber) {
        if let Some(slot) = self.slots.get_mut(id as usize)
            && slot.take().is_some()
        {
            self.free.push(id);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn get(&self, id: WatchNumber) -> Option<&Slot> {
        self.slots.get(id as usize)?.as_ref()
    }

    fn get_mut(&mut self, id: WatchNumber) -> Option<&mut Slot> {
        self.slots.get_mut(id as usize)?.as_mut()
    }

    /// The first unread version that may concern the watch.
    pub(super) fn hit(&self, id: WatchNumber) -> Option<u64> {
        self.get(id)?.place.hit()
    }

    /// The version up to which an idle watch has read; `None` if it has a hit.
    pub(super) fn read(&self, id: WatchNumber) -> Option<u64> {
        self.get(id)?.place.read()
    }

    pub(super) fn wake_of(&self, id: WatchNumber) -> Option<Wake> {
        Some(self.get(id)?.wake.clone())
    }

    pub(super) fn set_idle(&mut self, id: WatchNumber, read: u64) {
        if let Some(slot) = self.get_mut(id) {
            slot.place = Place::idle(read);
        }
    }

    pub(super) fn set_hit(&mut self, id: WatchNumber, version: u64) {
        if let Some(slot) = self.get_mut(id) {
            slot.place = Place::hit_at(version);
        }
    }

    /// Gives the watch a hit at `version` and wakes it, unless it has read the version or has a hit
    /// already.
    pub(super) fn touch(&mut self, id: WatchNumber, version: u64, slice: &mut Slice) {
        if let Some(slot) = self.get_mut(id)
            && slot.place.read().is_some_and(|read| read < version)
        {
            slot.place = Place::hit_at(version);
            slice.wake(slot.wake.clone());
        }
    }

    /// Calls `each` for all watches from `at` on. Returns where to continue, or `None` at the end.
    pub(super) fn sweep(
        &mut self,
        at: WatchNumber,
        slice: &mut Slice,
        mut each: impl FnMut(&mut Self, WatchNumber, &mut Slice),
    ) -> Option<WatchNumber> {
        let mut at = at;
        while (at as usize) < self.slots.len() {
            if slice.is_over() {
                return Some(at);
            }
            slice.visit();
            each(self, at, slice);
            at += 1;
        }
        None
    }
}
