//! What a journal is, whatever keeps it: groups under consecutive numbers, appended one after
//! another.
//!
//! An append is conditional on what it follows. Its answer may be "unknown", which only
//! [`Journal::settle`] decides: a read that finds nothing proves nothing.

use std::sync::Arc;

use bytes::Bytes;

use super::error::{GroupNumber, JournalError};

/// A group to append.
#[derive(Debug, Clone, Copy)]
pub struct Append<'a> {
    /// The group that must be the newest.
    pub after: GroupNumber,
    /// Names this attempt within its epoch. Never used again for another payload.
    pub id: u64,
    /// The content of the group.
    pub payload: &'a [u8],
    /// Whether the group is durable when the answer is "done". Without, it may be lost until
    /// [`Journal::sync`] succeeds, together with every group after it.
    pub sync: bool,
}

/// The answer to an append.
#[derive(Debug, Clone)]
#[must_use = "an append that was not done must not be published"]
pub enum Appended {
    /// The group is durable (without `sync`: written) under this number.
    Done(GroupNumber),
    /// A clean refusal: there is no trace of the group, now or after a restart. The journal goes
    /// on.
    NotWritten(JournalError),
    /// The caller does not own the store any more. Whether the group was written is not known.
    Fenced(JournalError),
    /// It may be there, it may arrive later, or it never will. Nothing else is appended before
    /// [`Journal::settle`] decides.
    Unknown(JournalError),
}

/// The writing side of a journal: one owner, no sharing. Every call may block.
pub trait Journal: Send {
    /// Appends one group. Cost on a local disk: one write and one sync, plus a new segment if none
    /// was prepared when one is needed.
    fn append(&mut self, append: Append<'_>) -> Appended;

    /// Decides what becomes of an append that was answered "unknown": makes the same append, with
    /// the same condition and id. Never answers "not written". A local disk whose sync failed
    /// answers "unknown", always: the system may have dropped what it could not write.
    fn settle(&mut self, append: Append<'_>) -> Appended;

    /// Makes everything appended so far durable; returns the newest group.
    ///
    /// # Errors
    /// What became of the groups since the last sync is unknown, and nothing is appended any more.
    fn sync(&mut self) -> Result<GroupNumber, JournalError>;

    /// The newest group that was appended (0: none yet; the group that an empty journal starts
    /// after).
    fn newest(&self) -> GroupNumber;

    /// A reader, for any number of threads.
    fn reader(&self) -> Arc<dyn JournalReader>;

    /// Allows everything before group `keep_from` to be removed, in whatever units the journal has,
    /// except for what a slot of the root record needs. Groups that were removed read as
    /// [`JournalError::Trimmed`].
    ///
    /// # Errors
    /// What was removed until then is gone. Only a shortage leaves the journal usable.
    fn drop_before(&mut self, keep_from: GroupNumber) -> Result<(), JournalError>;

    /// Bytes that it takes.
    fn bytes(&self) -> u64;
}

/// The reading side of a journal, concurrent with appends: sees only what was published.
pub trait JournalReader: Send + Sync {
    /// Groups from `from` on, in order and without a hole, as many as fit in `max_bytes` of payload
    /// but at least one; empty if `from` is newer than the newest. May stop early (at the end of a
    /// segment): call again. Checksums are verified. Cost: normally one read of the disk.
    ///
    /// # Errors
    /// [`JournalError::Trimmed`] if `from` is gone (0 included), [`JournalError::Corrupt`] for
    /// damage.
    fn read(
        &self,
        from: GroupNumber,
        max_bytes: usize,
    ) -> Result<Vec<(GroupNumber, Bytes)>, JournalError>;

    /// Shows groups from `from` on while `each` says so, as far as `max_bytes` of payload go, at
    /// least one. They are read into `buffer`, which can be used again and again; what is in it
    /// does not matter.
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
