//! Reading a journal concurrently with its writer: the list of segments, and the limit of what is
//! readable.
//!
//! A trimmed segment may be overwritten during a read. The new groups carry another identity, so
//! the reader sees damage, checks the list again, and returns `Trimmed`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use super::segment::Segment;
use super::segment_file::SegmentInfo;
use crate::disk::{Disk, DiskError};
use crate::journal::{GroupNumber, JournalError, JournalReader};
use crate::local::present::{Turns, first_missing, gone};

/// State shared by the writer of a journal, its preparer and its readers.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Oldest first; the last is the active one.
    segments: RwLock<Vec<Arc<Segment>>>,
    newest: AtomicU64,
    poison: OnceLock<String>,
    turns: Turns,
}

impl Shared {
    pub(super) fn new(segments: Vec<Arc<Segment>>, newest: GroupNumber) -> Self {
        Self {
            segments: RwLock::new(segments),
            newest: AtomicU64::new(newest),
            poison: OnceLock::new(),
            turns: Turns::default(),
        }
    }

    fn list(&self) -> RwLockReadGuard<'_, Vec<Arc<Segment>>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn list_mut(&self) -> RwLockWriteGuard<'_, Vec<Arc<Segment>>> {
        self.segments
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes all groups up to `newest` visible to readers.
    pub(super) fn publish(&self, newest: GroupNumber) {
        self.newest.store(newest, Ordering::Release);
    }

    /// Stops the journal permanently. Only the first reason is kept.
    pub(super) fn poison(&self, error: &JournalError) {
        let _ = self.poison.set(error.to_string());
    }

    /// Returns the error of every append to a poisoned journal.
    pub(super) fn poisoned(&self) -> Option<JournalError> {
        self.poison.get().map(|reason| JournalError::Poisoned {
            reason: reason.clone(),
        })
    }

    /// Fails if a segment file lost its name: only the owner may remove one. Called by the thread
    /// that appends and trims. Each call checks some of the files.
    pub(super) fn check_files(&self, disk: &dyn Disk) -> Result<(), DiskError> {
        let list = self.list().clone();
        let turn = self.turns.next(list.iter());
        let paths: Vec<_> = turn
            .iter()
            .map(|segment| segment.file.path.clone())
            .collect();
        first_missing(disk, &paths).map_or(Ok(()), |path| Err(gone(&path)))
    }

    pub(super) fn infos(&self) -> Vec<SegmentInfo> {
        self.list().iter().map(|segment| segment.info()).collect()
    }

    /// Calls `read` with the segment that holds a group, or with `None` if the group does not exist
    /// yet.
    fn readable<T>(
        &self,
        from: GroupNumber,
        read: impl FnOnce(GroupNumber, Option<Arc<Segment>>) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let newest = self.newest();
        let oldest = self.oldest();
        if from < oldest {
            return Err(JournalError::Trimmed { oldest });
        }
        let segment = if from > newest { None } else { self.find(from) };
        let result = read(newest, segment);
        // The segment may have been trimmed, and even reused, meanwhile.
        let oldest = self.oldest();
        if from < oldest {
            Err(JournalError::Trimmed { oldest })
        } else {
            result
        }
    }

    fn find(&self, group: GroupNumber) -> Option<Arc<Segment>> {
        let list = self.list();
        let place = list.partition_point(|segment| segment.info().first <= group);
        list.get(place.checked_sub(1)?).cloned()
    }
}

impl JournalReader for Shared {
    fn read(
        &self,
        from: GroupNumber,
        max_bytes: usize,
    ) -> Result<Vec<(GroupNumber, Bytes)>, JournalError> {
        self.readable(from, |newest, segment| match segment {
            Some(segment) => segment.read(from, newest, max_bytes),
            None => Ok(Vec::new()),
        })
    }

    fn look(
        &self,
        from: GroupNumber,
        max_bytes: usize,
        buffer: &mut Vec<u8>,
        each: &mut dyn FnMut(GroupNumber, &[u8]) -> bool,
    ) -> Result<(), JournalError> {
        self.readable(from, |newest, segment| match segment {
            Some(segment) => segment.look(
                from,
                newest,
                max_bytes,
                buffer,
                &mut |number, payload, _| each(number, payload),
            ),
            None => Ok(()),
        })
    }

    fn oldest(&self) -> GroupNumber {
        self.list()
            .first()
            .map_or(1, |segment| segment.info().first)
    }

    fn newest(&self) -> GroupNumber {
        self.newest.load(Ordering::Acquire)
    }
}
