//! The streams of one connection, by slot (which wakes use) and by id (which clients use).

use std::collections::HashMap;

use super::ready::Slot;
use super::stream::{Stream, StreamId};

/// The open streams of a connection. A slot is reused after its stream has ended.
#[derive(Default)]
pub(crate) struct Table {
    slots: Vec<Option<Stream>>,
    free: Vec<Slot>,
    ids: HashMap<StreamId, Slot>,
}

impl Table {
    /// Number of open streams.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Number of slots, used or free.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The ids of all open streams.
    pub(crate) fn into_ids(self) -> Vec<StreamId> {
        self.ids.into_keys().collect()
    }

    /// The slot of the stream with this id, if it is open.
    pub(crate) fn slot(&self, id: StreamId) -> Option<Slot> {
        self.ids.get(&id).copied()
    }

    /// The stream in a slot.
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Stream> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// Whether the stream with this serial number is still in its slot.
    pub(crate) fn holds(&self, slot: Slot, serial: u32) -> bool {
        let stream = self.slots.get(slot as usize).and_then(Option::as_ref);
        stream.is_some_and(|stream| stream.serial == serial)
    }

    /// The slot for the next stream.
    pub(crate) fn next_slot(&self) -> Slot {
        match self.free.last() {
            Some(slot) => *slot,
            None => Slot::try_from(self.slots.len()).unwrap_or(Slot::MAX),
        }
    }

    /// Puts a stream into the next slot.
    pub(crate) fn insert(&mut self, stream: Stream) {
        let slot = self.next_slot();
        self.ids.insert(stream.id, slot);
        self.free.pop();
        match self.slots.get_mut(slot as usize) {
            Some(place) => *place = Some(stream),
            None => self.slots.push(Some(stream)),
        }
    }

    /// Removes a stream.
    pub(crate) fn remove(&mut self, slot: Slot) {
        if let Some(stream) = self.slots.get_mut(slot as usize).and_then(Option::take) {
            self.ids.remove(&stream.id);
            self.free.push(slot);
        }
    }
}
