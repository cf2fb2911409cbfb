//! The root record of an in-memory store.

use std::io::ErrorKind;

use bytes::Bytes;

use super::medium::{Shared, lock};
use crate::epoch::Epoch;
use crate::failure::Failure;
use crate::journal::GroupNumber;
use crate::limits::ROOT_BYTES;
use crate::root::{Root, RootError, RootRecord, Slots};

/// The root record as seen by one owner.
pub(super) struct MemoryRoot {
    pub(super) shared: Shared,
    pub(super) epoch: Epoch,
}

impl RootRecord for MemoryRoot {
    fn load(&self) -> Result<Slots, RootError> {
        Ok(lock(&self.shared).slots.clone())
    }

    fn swap(&self, expected: u64, group: GroupNumber, payload: &[u8]) -> Result<u64, RootError> {
        let mut medium = lock(&self.shared);
        medium.some_arrive();
        let over = medium.fenced(self.epoch.number);
        over.map_err(RootError::Fenced)?;
        let current = medium.slots.current.take();
        let found = current.as_ref().map_or(0, |root| root.revision);
        let refusal = if found != expected {
            Some(RootError::Conflict { expected, found })
        } else if payload.len() > ROOT_BYTES {
            let (bytes, limit) = (payload.len(), ROOT_BYTES);
            Some(RootError::TooBig { bytes, limit })
        } else if group > medium.newest() {
            let text = format!("group {group} is not in the journal");
            let failure = Failure::new(ErrorKind::InvalidInput, text);
            Some(RootError::NotSwapped(failure))
        } else {
            medium.room().err().map(RootError::NoSpace)
        };
        if let Some(error) = refusal {
            medium.slots.current = current;
            return Err(error);
        }
        let revision = expected + 1;
        medium.slots.previous = current;
        medium.slots.current = Some(Root {
            revision,
            epoch: self.epoch,
            group,
            payload: Bytes::copy_from_slice(payload),
        });
        Ok(revision)
    }
}
