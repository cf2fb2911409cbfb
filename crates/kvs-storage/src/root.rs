//! The root record: the one mutable value of a store, in two slots that are written in turn.
//!
//! Everything that either slot names is kept, so whichever is found after a failure leads to the
//! same state. RFC 0009 says what each answer means.

use bytes::Bytes;

use crate::epoch::Epoch;
use crate::failure::Failure;
use crate::journal::GroupNumber;

/// A root record as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Rises by one with every record.
    pub revision: u64,
    /// The epoch whose owner wrote it.
    pub epoch: Epoch,
    /// It holds the effects of every group up to this one. The groups after it are kept.
    pub group: GroupNumber,
    /// What the owner wrote. This crate does not look into it.
    pub payload: Bytes,
}

/// What the two slots hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slots {
    /// The record of the newest epoch and, within it, of the highest revision. `None`: a new store.
    pub current: Option<Root>,
    /// The record in the other slot, if there is one and it is whole.
    pub previous: Option<Root>,
}

impl Slots {
    /// Sorts two records: an epoch counts more than a revision, since an owner that was deposed may
    /// have left a higher revision.
    ///
    /// # Errors
    /// Both have the same epoch and revision and yet differ.
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

    /// The groups after this one are needed by one of the records. `None`: there is no record.
    #[must_use]
    pub(crate) fn needed_after(&self) -> Option<GroupNumber> {
        let both = self.current.iter().chain(&self.previous);
        both.map(|root| root.group).min()
    }

    /// The highest number of an epoch in either record.
    #[must_use]
    pub(crate) fn newest_epoch(&self) -> u64 {
        let both = self.current.iter().chain(&self.previous);
        both.map(|root| root.epoch.number).max().unwrap_or(0)
    }
}

/// An error of the root record.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RootError {
    /// There is no space. The current record stands; trying again works once there is.
    #[error("no space for the root record: {0}")]
    NoSpace(Failure),
    /// The new record could not be written. The current one stands.
    #[error("root record: {0}")]
    NotSwapped(Failure),
    /// The current revision is another than the caller expected. Nothing was changed.
    #[error("the root record has revision {found}, not {expected}")]
    Conflict {
        /// What the caller took for the current revision.
        expected: u64,
        /// The current revision.
        found: u64,
    },
    /// Either record may be found after a restart. What either names is kept until a later swap is
    /// done.
    #[error("root record: {0}")]
    Unknown(Failure),
    /// The caller does not own the store any more.
    #[error("root record: {0}")]
    Fenced(Failure),
    /// Neither slot holds what was written.
    #[error("the root record {place} is damaged: {what}")]
    Corrupt {
        /// Names the place where it is kept.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// The payload exceeds `limits::ROOT_BYTES`.
    #[error("a root record of {bytes} bytes is over the limit of {limit}")]
    TooBig {
        /// Bytes of the payload.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// The root record of an acquired store. One caller swaps at a time.
pub trait RootRecord: Send + Sync {
    /// Reads both slots.
    ///
    /// # Errors
    /// [`RootError::Corrupt`] when there is a record but none is whole, failures of the medium.
    fn load(&self) -> Result<Slots, RootError>;

    /// Writes the next record over the slot that is not current, on condition that the current
    /// revision is `expected` (0: there is none). Returns the new revision; the record is durable
    /// then. Cost on a local disk: one write and one sync.
    ///
    /// # Errors
    /// Only after [`RootError::Unknown`] and [`RootError::Fenced`] may the new record be found.
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
