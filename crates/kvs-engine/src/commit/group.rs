//! A group: versions of any namespaces and other durable changes, made durable by one append, with
//! the replies that wait for it.

use std::sync::Arc;

use crate::answers::{CommitReply, Wakes};
use crate::error::EngineError;
use crate::limits::{GROUP_PAYLOAD_BYTES, GUEST_GROUP_BYTES};
use crate::pack::Staged;
use crate::state::Record;

use super::draft::{Begun, Draft};
use super::head::{ClosedVersion, FullId};

/// An answer that is delivered once everything before it is durable, or as an error.
pub(crate) type HeldReply = Box<dyn FnOnce(Result<(), EngineError>, &mut Wakes) + Send>;

/// One item of a group, in the order in which it takes effect.
pub(crate) enum Item {
    /// A version of a namespace.
    Version(ClosedVersion),
    /// Any other record.
    Other(Record),
}

impl Item {
    /// The version, if the item is one.
    pub(crate) fn version(self) -> Option<ClosedVersion> {
        match self {
            Self::Version(version) => Some(version),
            Self::Other(_) => None,
        }
    }
}

/// A group that is being filled or written.
#[derive(Default)]
pub(crate) struct OpenGroup {
    items: Vec<Item>,
    held: Vec<HeldReply>,
    staged: Vec<Arc<Staged>>,
    bytes: usize,
    /// What all of its records have in common; `None` until the group is begun.
    begun: Option<Begun>,
    /// Cost of guests' commands accepted while it was filled, in bytes.
    guests: u64,
}

impl OpenGroup {
    /// When the group was begun; `now` is called for a group that was not begun yet.
    pub(crate) fn begun(&mut self, now: impl FnOnce() -> Begun) -> Begun {
        *self.begun.get_or_insert_with(now)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.held.is_empty()
    }

    /// Whether it has records: held answers alone need no append.
    pub(crate) fn has_records(&self) -> bool {
        !self.items.is_empty()
    }

    /// Whether guests may add more to it.
    pub(crate) fn admits_guests(&self) -> bool {
        self.guests < GUEST_GROUP_BYTES
    }

    /// Counts the cost of a guest's command, whatever becomes of it.
    pub(crate) fn count_guests(&mut self, cost: u32) {
        self.guests += u64::from(cost);
    }

    /// Whether nothing more should be added.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= GROUP_PAYLOAD_BYTES
    }

    pub(crate) fn push_version(&mut self, version: ClosedVersion) {
        self.bytes += version.bytes;
        self.items.push(Item::Version(version));
    }

    pub(crate) fn push(&mut self, record: Record) {
        self.bytes += 256;
        self.items.push(Item::Other(record));
    }

    pub(crate) fn hold(&mut self, reply: HeldReply) {
        self.held.push(reply);
    }

    /// Makes a repeat wait with the first attempt, if that is in this group; else returns the
    /// reply.
    pub(crate) fn join(
        &mut self,
        namespace: &str,
        at: u64,
        id: FullId,
        reply: CommitReply,
    ) -> Option<CommitReply> {
        let mut reply = reply;
        for item in self.items.iter_mut().rev() {
            if let Item::Version(version) = item {
                reply = version.join(namespace, at, id, reply)?;
            }
        }
        Some(reply)
    }

    /// The drafts for the journal, one for each item.
    pub(crate) fn drafts(&mut self) -> Vec<Draft> {
        let draft = |item: &mut Item| match item {
            Item::Version(version) => version.take_draft().map(Draft::Version),
            Item::Other(record) => Some(Draft::Other(record.clone())),
        };
        self.items.iter_mut().filter_map(draft).collect()
    }

    /// What must be in packs before the group may be written.
    pub(crate) fn staged(&self) -> &[Arc<Staged>] {
        &self.staged
    }

    pub(crate) fn stage(&mut self, staged: Vec<Arc<Staged>>) {
        let bytes: u64 = staged.iter().map(|staged| staged.bytes_to_copy()).sum();
        self.bytes = self
            .bytes
            .saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX));
        self.staged.extend(staged);
    }

    /// Its items, and the answers that wait for them.
    pub(crate) fn take(self) -> (Vec<Item>, Vec<HeldReply>) {
        (self.items, self.held)
    }

    /// Answers all that wait for it with `error`.
    pub(crate) fn refuse(self, error: &EngineError, wakes: &mut Wakes) {
        for item in self.items {
            if let Item::Version(version) = item {
                version.refuse(error, wakes);
            }
        }
        for held in self.held {
            held(Err(error.clone()), wakes);
        }
    }
}
