//! The journal traits: groups with consecutive numbers, appended one at a time.
//!
//! An append is conditional on the newest group. Its outcome may be unknown; only
//! [`Journal::settle`] decides it, because a read that does not find the group proves nothing.

use std::sync::Arc;

use bytes::Bytes;

use super::error::{GroupNumber, JournalError};

/// A group to append.
#[derive(Debug, Clone, Copy)]
pub struct Append<'a> {
    /// Number of the group that must be the newest.
    pub after: GroupNumber,
    /// Identifies this attempt within its epoch. Never reused for another payload.
    pub id: u64,
    /// Content of the group.
    pub payload: &'a [u8],
    /// Whether the group must be durable when the result is `Done`. If not, a power cut may lose
    /// it, together with every later group, until [`Journal::sync`] succeeds.
    pub sync: bool,
}

/// The result of an append.
#[derive(Debug, Clone)]
#[must_use = "an append that was not done must not be published"]
pub enum Appended {
    /// The group is durable (without `sync`: written) under this number.
    Done(GroupNumber),
    /// A clean refusal: the group does not exist, now or after a restart. The journal stays usable.
    NotWritten(JournalError),
    /// The caller no longer owns the store. It is unknown whether the group was written.
    Fenced(JournalError),
    /// The group may exist, may still arrive, or never will. No other append is possible until
    /// [`Journal::settle`] decides.
    Unknown(JournalError),
}

/// The writing side of a journal, with one owner. Every call may block.
pub trait Journal: Send {
    /// Appends one group. Cost on a local disk: one write and one sync, plus creating a segment if
    /// one is needed and none is prepared.
    fn append(&mut self, append: Append<'_>) -> Appended;

    /// Decides the outcome of an append that returned `Unknown`, by repeating it with the same
    /// condition and id. Never returns `NotWritten`. After a failed sync a local disk always
    /// returns `Unknown`: the kernel may have dropped data that it could not write.
    fn settle(&mut self, append: Append<'_>) -> Appended;

    /// Makes all appended groups durable; returns the newest.
    ///
    /// # Errors
    /// The fate of the groups since the last sync is unknown, and the journal accepts no more
    /// appends.
    fn sync(&mut self) -> Result<GroupNumber, JournalError>;

    /// Returns the newest appended group. For an empty journal this is the group that it starts
    /// after, 0 in a new store.
    fn newest(&self) -> GroupNumber;

    /// Returns a reader that any number of threads can share.
    fn reader(&self) -> Arc<dyn JournalReader>;

    /// Allows groups before `keep_from` to be removed, in units chosen by the implementation,
    /// except for those that a slot of the root record needs. Reading a removed group returns
    /// [`JournalError::Trimmed`].
    ///
    /// # Errors
    /// Groups removed before the error are gone. The journal stays usable only after a shortage.
    fn drop_before(&mut self, keep_from: GroupNumber) -> Result<(), JournalError>;

    /// Returns the size of the journal in bytes.
    fn bytes(&self) -> u64;
}

/// The reading side of a journal, concurrent with appends. It sees only published groups.
pub trait JournalReader: Send + Sync {
    /// Returns consecutive groups from `from` on: as many as fit in `max_bytes` of payload, but at
    /// least one; none if `from` is newer than the newest. The result may end early, at the end of
    /// a segment: call again. Checksums are verified. Cost: usually one disk read.
    ///
    /// # Errors
    /// [`JournalError::Trimmed`] if `from` was trimmed (0 included), [`JournalError::Corrupt`] for
    /// damage.
    fn read(
        &self,
        from: GroupNumber,
        max_bytes: usize,
    ) -> Result<Vec<(GroupNumber, Bytes)>, JournalError>;

    /// Calls `each` with groups from `from` on until it returns false or `max_bytes` of payload
    /// were read, but at least once. `buffer` is scratch space that can be reused; its content is
    /// irrelevant.
    ///
    /// # Errors
    /// As for [`read`](Self::read); groups already passed to `each` are valid nevertheless.
    fn look(
        &self,
        from: GroupNumber,
        max_bytes: usize,
        buffer: &mut Vec<u8>,
        each: &mut dyn FnMut(GroupNumber, &[u8]) -> bool,
    ) -> Result<(), JournalError>;

    /// Returns the oldest readable group, or `newest() + 1` if there is none.
    fn oldest(&self) -> GroupNumber;

    /// Returns the newest readable group.
    fn newest(&self) -> GroupNumber;
}
