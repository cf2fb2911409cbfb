//! The root record: the one mutable value of a store, in two slots that are written alternately.
//!
//! Everything that either slot names is kept, so either one leads to the same state after a
//! failure. RFC 0009 specifies the meaning of every result.

use bytes::Bytes;

use crate::epoch::Epoch;
use crate::failure::Failure;
use crate::journal::GroupNumber;

/// A root record read from a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Increases by one with every record.
    pub revision: u64,
    /// Epoch of the owner that wrote it.
    pub epoch: Epoch,
    /// The record includes the effects of all groups up to this one. Later groups are kept.
    pub group: GroupNumber,
    /// Opaque content, written by the owner.
    pub payload: Bytes,
}

/// The content of the two slots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slots {
    /// The record of the newest epoch and, within it, of the highest revision. `None` in a new
    /// store.
    pub current: Option<Root>,
    /// The record in the other slot, if there is one and it is intact.
    pub previous: Option<Root>,
}

impl Slots {
    /// Orders two records. The epoch takes precedence over the revision, because a deposed owner
    /// may have left a higher revision.
    ///
    /// # Errors
    /// If both have the same epoch and revision but differ.
    pub fn of(one: Option<Root>, other: Option<Root>) -> Result<Self, &'static str> {
        let order = |root: &Root| (root.epoch.number, root.revision);
        match (one, other) {
            (Some(one), Some(other)) => {
                if order(&one) == order(&other) && one != other {
                    return Err("two root records have the same epoch and revision");
                }
                let (current, previous) = match order(&one) >= order(&other) {
                    true => (one, other),
                    false => (other, one),
                };
                Ok(Self {
                    current: Some(current),
                    previous: Some(previous),
                })
            }
            (one, other) => Ok(Self {
                current: one.or(other),
                previous: None,
            }),
        }
    }

    /// Returns the group after which all groups are needed by one of the records; `None` if there
    /// is no record.
    #[must_use]
    pub(crate) fn needed_after(&self) -> Option<GroupNumber> {
        let both = self.current.iter().chain(&self.previous);
        both.map(|root| root.group).min()
    }

    /// Returns the highest epoch number of either record.
    #[must_use]
    pub(crate) fn newest_epoch(&self) -> u64 {
        let both = self.current.iter().chain(&self.previous);
        both.map(|root| root.epoch.number).max().unwrap_or(0)
    }
}

/// An error of the root record.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RootError {
    /// There is no space. The current record is unchanged; a retry succeeds once space is
    /// available.
    #[error("no space for the root record: {0}")]
    NoSpace(Failure),
    /// The new record could not be written. The current one is unchanged.
    #[error("root record: {0}")]
    NotSwapped(Failure),
    /// The current revision is not the expected one. Nothing was changed.
    #[error("the root record has revision {found}, not {expected}")]
    Conflict {
        /// The revision that the caller expected.
        expected: u64,
        /// The current revision.
        found: u64,
    },
    /// After a restart either record may be current. Everything that either names is kept until a
    /// later swap succeeds.
    #[error("root record: {0}")]
    Unknown(Failure),
    /// The caller no longer owns the store.
    #[error("root record: {0}")]
    Fenced(Failure),
    /// Neither slot is intact.
    #[error("the root record {place} is damaged: {what}")]
    Corrupt {
        /// The location of the record, for messages.
        place: String,
        /// Describes the damage.
        what: String,
    },
    /// The payload exceeds `limits::ROOT_BYTES`.
    #[error("a root record of {bytes} bytes is over the limit of {limit}")]
    TooBig {
        /// Size of the payload in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

/// The root record of an acquired store. Only one caller may swap at a time.
pub trait RootRecord: Send + Sync {
    /// Reads both slots.
    ///
    /// # Errors
    /// [`RootError::Corrupt`] if records exist but none is intact; failures of the medium.
    fn load(&self) -> Result<Slots, RootError>;

    /// Writes the next record to the slot that is not current, on condition that the current
    /// revision is `expected` (0: there is none). Returns the new revision; the record is then
    /// durable. Cost on a local disk: one write and one sync.
    ///
    /// # Errors
    /// Only after [`RootError::Unknown`] and [`RootError::Fenced`] may the new record exist.
    fn swap(&self, expected: u64, group: GroupNumber, payload: &[u8]) -> Result<u64, RootError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(epoch: u64, revision: u64) -> Option<Root> {
        Some(Root {
            revision,
            epoch: Epoch {
                number: epoch,
                id: 0,
            },
            group: epoch * 10 + revision,
            payload: Bytes::new(),
        })
    }

    #[test]
    fn a_newer_epoch_counts_more_than_a_higher_revision() {
        for (one, other) in [(root(3, 9), root(4, 8)), (root(4, 8), root(3, 9))] {
            let slots = Slots::of(one, other).unwrap();
            assert_eq!((slots.current, slots.previous), (root(4, 8), root(3, 9)));
        }
        let slots = Slots::of(root(4, 8), root(4, 9)).unwrap();
        assert_eq!(slots.current, root(4, 9));
        assert_eq!(slots.needed_after(), Some(48));
    }

    #[test]
    fn two_different_records_in_the_same_place_of_the_order_are_damage() {
        let mut other = root(4, 8);
        other.as_mut().unwrap().group = 1;
        assert!(Slots::of(root(4, 8), other).is_err());
    }
}
