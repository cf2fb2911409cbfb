//! Groups of watches at the same scope.
//!
//! A group lists its *armed* watches: all idle ones and some that have a hit. When a version
//! touches the group, the matcher walks the list once: each watch that has not read the version is
//! woken and taken off the list until it is idle again. If all watches of a group have a hit, a
//! touch of it costs one comparison, and so does a further key of the same version.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

use super::slots::{Slots, WatchNumber};
use super::wake::Slice;

type GroupNumber = u32;

/// The watches at one scope: nearly always a single one, which needs no group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    One(WatchNumber),
    Group(GroupNumber),
}

#[derive(Default)]
struct Group {
    members: usize,
    armed: BTreeSet<WatchNumber>,
    /// Lower bound of what the armed idle watches have read.
    least: u64,
}

/// The walk through a group for one version.
pub(super) struct Drain {
    group: GroupNumber,
    after: Option<WatchNumber>,
    /// The minimum read by the watches that stay armed.
    kept: u64,
}

/// All groups of a lane.
#[derive(Default)]
pub(super) struct Groups {
    groups: Vec<Group>,
    free: Vec<GroupNumber>,
    /// Groups without members; [`tidy`](Self::tidy) makes their numbers reusable.
    vacant: Vec<GroupNumber>,
    /// For each watch with a hit, the groups in which it is not armed.
    disarmed: HashMap<WatchNumber, Vec<GroupNumber>>,
}

impl Groups {
    /// Adds a watch to the holder of a scope.
    pub(super) fn join(
        &mut self,
        holder: Option<Holder>,
        id: WatchNumber,
        slots: &Slots,
    ) -> Holder {
        let group = match holder {
            None => return Holder::One(id),
            Some(Holder::One(other)) if other == id => return Holder::One(id),
            Some(Holder::One(other)) => {
                let group = self.new_group();
                self.arm_member(group, other, slots);
                group
            }
            Some(Holder::Group(group)) => group,
        };
        let disarmed = self
            .disarmed
            .get(&id)
            .is_some_and(|all| all.contains(&group));
        if !disarmed {
            self.arm_member(group, id, slots);
        }
        Holder::Group(group)
    }

    fn new_group(&mut self) -> GroupNumber {
        let group = Group {
            least: u64::MAX,
            ..Group::default()
        };
        if let Some(number) = self.free.pop()
            && let Some(empty) = self.groups.get_mut(number as usize)
        {
            *empty = group;
            return number;
        }
        self.groups.push(group);
        (self.groups.len() - 1) as GroupNumber
    }

    fn arm_member(&mut self, group: GroupNumber, id: WatchNumber, slots: &Slots) {
        if let Some(group) = self.groups.get_mut(group as usize)
            && group.armed.insert(id)
        {
            group.members += 1;
            group.least = group.least.min(slots.read(id).unwrap_or(0));
        }
    }

    /// Removes a watch from the holder of a scope; `None` if no watch is left.
    pub(super) fn leave(&mut self, holder: Holder, id: WatchNumber) -> Option<Holder> {
        let number = match holder {
            Holder::One(one) => return (one != id).then_some(holder),
            Holder::Group(number) => number,
        };
        let Some(group) = self.groups.get_mut(number as usize) else {
            return Some(holder);
        };
        let was_armed = group.armed.remove(&id);
        if was_armed || self.forget_disarmed(id, number) {
            let group = self.groups.get_mut(number as usize)?;
            group.members -= 1;
            if group.members == 0 {
                self.vacant.push(number);
                return None;
            }
        }
        Some(holder)
    }

    fn forget_disarmed(&mut self, id: WatchNumber, number: GroupNumber) -> bool {
        let Some(all) = self.disarmed.get_mut(&id) else {
            return false;
        };
        let before = all.len();
        all.retain(|other| *other != number);
        let found = all.len() < before;
        if all.is_empty() {
            self.disarmed.remove(&id);
        }
        found
    }

    /// Re-arms a watch that is idle again and has read everything up to `read`.
    pub(super) fn arm(&mut self, id: WatchNumber, read: u64) {
        for number in self.disarmed.remove(&id).unwrap_or_default() {
            if let Some(group) = self.groups.get_mut(number as usize) {
                group.armed.insert(id);
                group.least = group.least.min(read);
            }
        }
    }

    /// Starts the walk through a group that a version touches; `None` if no watch needs waking.
    pub(super) fn touch(&mut self, number: GroupNumber, version: u64) -> Option<Drain> {
        let group = self.groups.get_mut(number as usize)?;
        if group.least >= version || group.armed.is_empty() {
            return None;
        }
        group.least = u64::MAX;
        Some(Drain {
            group: number,
            after: None,
            kept: u64::MAX,
        })
    }

    /// Continues the walk; true when it is finished.
    pub(super) fn drain(
        &mut self,
        drain: &mut Drain,
        version: u64,
        slots: &mut Slots,
        slice: &mut Slice,
    ) -> bool {
        loop {
            if slice.is_over() {
                return false;
            }
            slice.visit();
            let Some(group) = self.groups.get_mut(drain.group as usize) else {
                return true;
            };
            let next = match drain.after {
                None => group.armed.first(),
                Some(after) => {
                    let behind = (Bound::Excluded(after), Bound::Unbounded);
                    group.armed.range(behind).next()
                }
            };
            let Some(&id) = next else {
                group.least = group.least.min(drain.kept);
                return true;
            };
            match slots.read(id).filter(|read| *read >= version) {
                Some(read) => {
                    drain.kept = drain.kept.min(read);
                    drain.after = Some(id);
                }
                None => {
                    group.armed.remove(&id);
                    self.disarmed.entry(id).or_default().push(drain.group);
                    slots.touch(id, version, slice);
                }
            }
        }
    }

    /// Abandons the walk before its end.
    pub(super) fn give_up(&mut self, drain: &Drain) {
        if let Some(group) = self.groups.get_mut(drain.group as usize) {
            group.least = 0;
        }
    }

    /// Makes the numbers of empty groups reusable. Must not be called while a number may be in use.
    pub(super) fn tidy(&mut self) {
        for number in self.vacant.drain(..) {
            if let Some(group) = self.groups.get_mut(number as usize)
                && group.members == 0
            {
                *group = Group::default();
                self.free.push(number);
            }
        }
    }
}
