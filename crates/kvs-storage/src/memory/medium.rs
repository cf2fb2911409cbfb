//! The state of an in-memory store that outlives its owners, and the faults injected into it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kvs_tree::Blobref;

use crate::blobs::PackId;
use crate::entropy::SimEntropy;
use crate::epoch::Epoch;
use crate::failure::Failure;
use crate::journal::GroupNumber;
use crate::root::Slots;

/// The fate of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It takes effect and returns `Done`.
    Done,
    /// It is refused and returns `NotWritten`.
    Refused,
    /// It takes effect, but the answer is lost.
    AnswerLost,
    /// The answer is lost, and the append arrives later, if its condition still holds then.
    Late,
    /// The answer is lost, and the append never arrives.
    Lost,
}

/// Fault rates: a value of n means once in n times, 0 never.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weather {
    /// The append takes effect, but the answer is lost.
    pub answer_lost: u64,
    /// The append arrives later, without an answer.
    pub late: u64,
    /// The append never arrives, without an answer.
    pub lost: u64,
}

/// A stored group with the epoch and id of its append.
pub(super) struct Stored {
    pub(super) epoch: u64,
    pub(super) id: u64,
    pub(super) payload: Bytes,
}

/// An append in flight.
pub(super) struct Late {
    pub(super) after: GroupNumber,
    pub(super) group: Stored,
    pub(super) sync: bool,
}

/// Selects one of the two blob stores. Neither relies on the other.
#[derive(Clone, Copy, Debug)]
pub(super) enum Area {
    /// Blobs of trees.
    Trees,
    /// Blobs of the state.
    State,
}

/// The objects of a pack.
pub(super) type Pack = HashMap<Blobref, Bytes>;

/// The complete state of a store.
pub(super) struct Medium {
    /// Epoch of the current owner.
    pub(super) epoch: Epoch,
    pub(super) slots: Slots,
    /// Number of the group before the first in `groups`.
    pub(super) before: GroupNumber,
    pub(super) groups: VecDeque<Stored>,
    /// The newest durable group.
    pub(super) durable: GroupNumber,
    pub(super) late: Vec<Late>,
    /// Indexed by area.
    pub(super) packs: [BTreeMap<PackId, Pack>; 2],
    pub(super) newest_pack: u32,
    pub(super) full: bool,
    pub(super) weather: Weather,
    /// Fates of the next appends; they take precedence over the weather.
    pub(super) planned: VecDeque<Fate>,
    pub(super) random: SimEntropy,
}

/// A medium shared by its owners and readers.
pub(super) type Shared = Arc<Mutex<Medium>>;

/// Locks the medium, ignoring poisoning by a panicked thread.
pub(super) fn lock(shared: &Shared) -> MutexGuard<'_, Medium> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Medium {
    /// Returns the packs of an area.
    pub(super) fn packs(&self, area: Area) -> &BTreeMap<PackId, Pack> {
        let [trees, state] = &self.packs;
        match area {
            Area::Trees => trees,
            Area::State => state,
        }
    }

    /// Returns the packs of an area, mutable.
    pub(super) fn packs_mut(&mut self, area: Area) -> &mut BTreeMap<PackId, Pack> {
        let [trees, state] = &mut self.packs;
        match area {
            Area::Trees => trees,
            Area::State => state,
        }
    }

    pub(super) fn new(seed: u64) -> Self {
        Self {
            epoch: Epoch::default(),
            slots: Slots::default(),
            before: 0,
            groups: VecDeque::new(),
            durable: 0,
            late: Vec::new(),
            packs: Default::default(),
            newest_pack: 0,
            full: false,
            weather: Weather::default(),
            planned: VecDeque::new(),
            random: SimEntropy::new(seed),
        }
    }

    pub(super) fn newest(&self) -> GroupNumber {
        self.before + self.groups.len() as u64
    }

    pub(super) fn group(&self, number: GroupNumber) -> Option<&Stored> {
        let at = number.checked_sub(self.before + 1)?;
        self.groups.get(usize::try_from(at).ok()?)
    }

    /// Fails if `epoch` is not the current epoch.
    pub(super) fn fenced(&self, epoch: u64) -> Result<(), Failure> {
        if epoch == self.epoch.number {
            return Ok(());
        }
        let text = format!("epoch {epoch} is over: the store is at {}", self.epoch);
        Err(Failure::new(ErrorKind::PermissionDenied, text))
    }

    /// Fails if the store is full.
    pub(super) fn room(&self) -> Result<(), Failure> {
        match self.full {
            true => Err(Failure::new(ErrorKind::StorageFull, "the store is full")),
            false => Ok(()),
        }
    }

    fn one_in(&self, many: u64) -> bool {
        many > 0 && self.random.below(many) == 0
    }

    /// Decides the fate of the next append.
    pub(super) fn fate(&mut self) -> Fate {
        if let Some(fate) = self.planned.pop_front() {
            return fate;
        }
        let weather = self.weather;
        if self.one_in(weather.answer_lost) {
            return Fate::AnswerLost;
        }
        if self.one_in(weather.late) {
            return Fate::Late;
        }
        match self.one_in(weather.lost) {
            true => Fate::Lost,
            false => Fate::Done,
        }
    }

    /// Adds the group if it follows the newest one and belongs to the current epoch. Returns
    /// whether it was added.
    pub(super) fn arrive(&mut self, late: Late) -> bool {
        let may = late.after == self.newest() && late.group.epoch == self.epoch.number;
        if may {
            self.groups.push_back(late.group);
            if late.sync {
                self.durable = self.newest();
            }
        }
        may
    }

    /// Delivers some of the appends in flight, in random order.
    pub(super) fn some_arrive(&mut self) {
        let mut waiting = std::mem::take(&mut self.late);
        while !waiting.is_empty() {
            let at = self.random.below(waiting.len() as u64);
            let late = waiting.swap_remove(usize::try_from(at).unwrap_or(0));
            if self.one_in(2) {
                self.arrive(late);
            } else {
                self.late.push(late);
                if self.one_in(2) {
                    break;
                }
            }
        }
        self.late.append(&mut waiting);
    }

    /// Begins the epoch of a new owner. Unsynced groups may be lost from some group on.
    pub(super) fn begin(&mut self) -> Epoch {
        self.some_arrive();
        let unsynced = self.newest() - self.durable;
        let kept = self.durable + self.random.below(unsynced + 1);
        let len = usize::try_from(kept - self.before).unwrap_or(usize::MAX);
        self.groups.truncate(len);
        self.durable = self.newest();
        let in_groups = self.groups.iter().map(|group| group.epoch).max();
        let newest = self.slots.newest_epoch().max(in_groups.unwrap_or(0));
        let id = u128::from(self.random.next()) << 64 | u128::from(self.random.next());
        self.epoch = Epoch {
            number: newest.max(self.epoch.number) + 1,
            id,
        };
        self.epoch
    }
}
