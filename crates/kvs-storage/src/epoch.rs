//! Epochs: one for each acquisition of a store.

use std::fmt;

/// Identifies one acquisition of a store. Epochs of a store are ordered by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch {
    /// Higher than the number of every earlier epoch recorded in the store.
    pub number: u64,
    /// Random. Distinguishes epochs that have the same number on two copies of a store.
    pub id: u128,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:032x}", self.number, self.id)
    }
}
