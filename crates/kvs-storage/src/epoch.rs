//! Epochs: each acquisition of a store begins one.

use std::fmt;

/// One acquisition of a store. Epochs of one store order by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch {
    /// Above the number of every epoch that left a trace in the store before.
    pub number: u64,
    /// Random. Tells two epochs apart that took the same number on two copies of a store.
    pub id: u128,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:032x}", self.number, self.id)
    }
}
