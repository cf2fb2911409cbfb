//! The unanswered requests, each where it was put when it was queued, until it is answered.

use crate::limits::RECENT_IDS;
use crate::pending::Reply;
use kvs_proto::{Position, Request};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// By the ids of this client, which rise by one: no stranger chooses them, so a plain hash will do.
pub(super) type ById<T> = HashMap<u64, T, BuildHasherDefault<IdHasher>>;

/// Spreads ids that follow one another.
#[derive(Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = (self.0 ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// An unanswered request.
pub(super) struct Waiting {
    pub(super) request: Request,
    reply: Option<Reply>,
    /// Whether any daemon may have seen it.
    pub(super) sent: bool,
    /// Whether it was sent on the present connection.
    pub(super) carried: bool,
    /// Connections that were lost, without the daemon having said that it leaves, before it was
    /// answered.
    pub(super) losses: u32,
    /// Of a commit: the newest position known when it was first sent.
    pub(super) known: Option<Position>,
}

/// Requests are large: they stay in their slots, and only the numbers of these are moved about.
#[derive(Default)]
pub(super) struct Slots {
    slots: Vec<Option<Waiting>>,
    free: Vec<u32>,
    /// How many are not free.
    used: usize,
    /// The slots of the ids from `first` on, of those that are in use.
    recent: VecDeque<Option<u32>>,
    first: u64,
    /// Those of earlier ids that are still in use: requests that wait for something.
    old: ById<u32>,
}

impl Slots {
    pub(super) fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Keeps a request under an id, which is above all others so far.
    #[inline]
    pub(super) fn insert(&mut self, id: u64, request: Request, reply: Reply) {
        let waiting = Waiting {
            request,
            reply: Some(reply),
            sent: false,
            carried: false,
            losses: 0,
            known: None,
        };
        let free = self.free.pop();
        let slot = match free.and_then(|free| Some((free, self.slots.get_mut(free as usize)?))) {
            Some((free, slot)) => {
                *slot = Some(waiting);
                free
            }
            None => {
                self.slots.push(Some(waiting));
                (self.slots.len() - 1) as u32
            }
        };
        self.used += 1;
        if self.recent.is_empty() {
            self.first = id;
        }
        // Ids of streams are not among them.
        while self.first + (self.recent.len() as u64) < id {
            self.recent.push_back(None);
        }
        self.recent.push_back(Some(slot));
        while self.recent.len() > RECENT_IDS {
            if let Some(Some(slot)) = self.recent.pop_front() {
                self.old.insert(self.first, slot);
            }
            self.first += 1;
        }
    }

    fn slot(&self, id: u64) -> Option<usize> {
        let slot = match id.checked_sub(self.first) {
            Some(index) => *self.recent.get(usize::try_from(index).ok()?)?,
            None => self.old.get(&id).copied(),
        };
        Some(slot? as usize)
    }

    pub(super) fn get(&self, id: u64) -> Option<&Waiting> {
        self.slots.get(self.slot(id)?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Waiting> {
        let slot = self.slot(id)?;
        self.slots.get_mut(slot)?.as_mut()
    }

    /// Forgets a request: where its answer goes, and its number if it is a commit.
    pub(super) fn remove(&mut self, id: u64) -> Option<(Reply, Option<u64>)> {
        let slot = match id.checked_sub(self.first) {
            Some(index) => self.recent.get_mut(usize::try_from(index).ok()?)?.take()?,
            None => self.old.remove(&id)?,
        };
        while let Some(None) = self.recent.front() {
            self.recent.pop_front();
            self.first += 1;
        }
        self.free.push(slot);
        self.used -= 1;
        let slot = self.slots.get_mut(slot as usize)?;
        let waiting = slot.as_mut()?;
        let reply = waiting.reply.take()?;
        let number = match &waiting.request {
            Request::Commit(commit) => Some(commit.number),
            _ => None,
        };
        // What is dropped in place need not be moved.
        *slot = None;
        Some((reply, number))
    }

    /// All ids, in no order.
    pub(super) fn ids(&self) -> impl Iterator<Item = u64> {
        let recent = (self.first..).zip(&self.recent);
        let recent = recent.filter_map(|(id, slot)| slot.map(|_| id));
        recent.chain(self.old.keys().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pending::exchange;
    use kvs_proto::{Empty, Op};
    use std::collections::BTreeSet;

    #[test]
    fn a_request_is_found_however_many_were_answered_since_it_was_queued() {
        let mut slots = Slots::default();
        let mut open = BTreeSet::new();
        for id in 1..10 * RECENT_IDS as u64 {
            // Some ids are those of streams.
            if id % 11 == 0 {
                continue;
            }
            slots.insert(id, Request::Cancel(Empty {}), exchange().0);
            open.insert(id);
            let answered = id.saturating_sub(3 + id % 5);
            // Few are never answered.
            if answered % 1000 != 1 {
                assert_eq!(slots.remove(answered).is_some(), open.remove(&answered));
            }
        }
        assert!(slots.slots.len() < open.len() + 10 && slots.recent.len() <= RECENT_IDS);
        assert!(!slots.old.is_empty());
        assert_eq!(slots.ids().collect::<BTreeSet<_>>(), open);
        for id in open {
            assert!(slots.get(id).is_some_and(|waiting| !waiting.sent));
            assert_eq!(slots.get_mut(id).unwrap().request.op(), Op::Cancel);
            assert!(slots.remove(id).is_some() && slots.remove(id).is_none());
        }
        assert!(slots.is_empty() && slots.get(0).is_none());
    }
}
