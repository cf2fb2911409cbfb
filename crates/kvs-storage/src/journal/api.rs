//! What a journal is, whatever keeps it: groups under consecutive numbers, appended one after another.
//!
//! Nothing here assumes a local disk or a single process: an append is conditional on what it follows,
//! and its answer may be "unknown", which reading back settles.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::error::{GroupNumber, JournalError};

/// The answer to an append.
#[derive(Debug, Clone)]
#[must_use = "an append that was not done must not be published"]
pub enum Appended {
    /// The group is durable (after `append_unsynced`: written) under this number.
    Done(GroupNumber),
    /// A clean refusal: there is no trace of the group, now or after a restart. The journal goes on.
    NotWritten(JournalError),
    /// It may or may not be there after a restart. The journal is poisoned: every later append is
    /// answered like this one, without touching the disk.
    Unknown(JournalError),
}

/// A segment, the unit of trimming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Ids are consecutive.
    pub id: u64,
    /// Its first group; in a segment without one, the number that its first group will have.
    pub first: GroupNumber,
    /// Its last group; `first - 1` if it has none.
    pub last: GroupNumber,
    /// Bytes it takes on disk, preallocated ones included.
    pub bytes: u64,
}

/// The writing side of a journal: one owner, no sharing.
pub trait Journal: Send {
    /// Appends one group and makes it durable, on condition that the newest group is `after`.
    /// Cost: one write and one sync, plus a new segment if none was prepared when one is needed.
    fn append(&mut self, after: GroupNumber, payload: &[u8]) -> Appended;

    /// Appends one group and publishes it to readers before it is durable: the weaker modes. Groups
    /// since the last [`sync`](Self::sync) may be lost by a power cut, always the newest ones.
    fn append_unsynced(&mut self, after: GroupNumber, payload: &[u8]) -> Appended;

    /// Makes everything appended so far durable; returns the newest group.
    ///
    /// # Errors
    /// Any failure poisons the journal: what the last groups' fate is, is unknown.
    fn sync(&mut self) -> Result<GroupNumber, JournalError>;

    /// The newest group that was appended (0: none yet, or the group that the journal starts behind).
    fn newest(&self) -> GroupNumber;

    /// A reader, for any number of threads.
    fn reader(&self) -> Arc<dyn JournalReader>;

    /// Drops the whole segments whose last group is older than `keep_from`. The segment that is
    /// written to stays. Groups that were dropped read as [`JournalError::Trimmed`].
    ///
    /// # Errors
    /// When the disk fails; segments dropped until then are gone. A failed directory sync poisons.
    fn trim(&mut self, keep_from: GroupNumber) -> Result<(), JournalError>;

    /// Whether the next segment is not prepared yet: run [`preparer`](Self::preparer) on another
    /// thread, so that no append pays for it.
    fn wants_preparation(&self) -> bool;

    /// A handle that prepares the next segment, beside appends.
    fn preparer(&self) -> Preparer;

    /// Bytes on disk: all segments, the prepared and the recyclable ones included.
    fn bytes(&self) -> u64;

    /// The segments that can be read, oldest first.
    fn segments(&self) -> Vec<SegmentInfo>;
}

/// The reading side of a journal, concurrent with appends: sees only what was published.
pub trait JournalReader: Send + Sync {
    /// Groups from `from` on, in order and without a hole, as many as fit in `max_bytes` of payload
    /// but at least one; empty if `from` is newer than the newest. May stop early (at the end of a
    /// segment): call again. Checksums are verified. Cost: normally one read of the disk.
    ///
    /// # Errors
    /// [`JournalError::Trimmed`] if `from` is gone (0 included), [`JournalError::Corrupt`] for damage.
    fn read(
        &self,
        from: GroupNumber,
        max_bytes: usize,
    ) -> Result<Vec<(GroupNumber, Bytes)>, JournalError>;

    /// Shows groups from `from` on while `each` says so, as far as `max_bytes` of payload go, at least one. They
    /// are read into `buffer`, which can be used again and again; what is in it does not matter.
    ///
    /// # Errors
    /// As for [`read`](Self::read); groups that were shown are right all the same.
    fn look(
        &self,
        from: GroupNumber,
        max_bytes: usize,
        buffer: &mut Vec<u8>,
        each: &mut dyn FnMut(GroupNumber, &[u8]) -> bool,
    ) -> Result<(), JournalError>;

    /// The oldest group that can be read; `newest() + 1` if there is none.
    fn oldest(&self) -> GroupNumber;

    /// The newest group that can be read.
    fn newest(&self) -> GroupNumber;
}

/// Prepares the next segment of a journal. Cheap to clone; may run beside appends.
#[derive(Clone)]
pub struct Preparer {
    run: Arc<dyn Fn() -> Result<(), JournalError> + Send + Sync>,
}

impl Preparer {
    /// A preparer that calls `run`.
    pub fn new(run: impl Fn() -> Result<(), JournalError> + Send + Sync + 'static) -> Self {
        Self { run: Arc::new(run) }
    }

    /// Makes the next segment if it is missing. Cost: writing and syncing a whole segment (tens of
    /// milliseconds), or a header of one that is reused.
    ///
    /// # Errors
    /// When the disk is full or fails; the next append then tries again itself.
    pub fn run(&self) -> Result<(), JournalError> {
        (self.run)()
    }
}

impl fmt::Debug for Preparer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Preparer")
    }
}
