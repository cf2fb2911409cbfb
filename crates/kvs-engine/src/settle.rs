//! Appends a group and settles an unknown outcome.

use crate::journal::{Append, Appended, Journal};
use crate::limits::SETTLE_ATTEMPTS;

/// Appends a group. If the outcome is unknown, asks the journal to settle it; a local disk whose
/// sync failed never can. If it stays unknown, returns the first error.
pub(crate) fn append(journal: &mut dyn Journal, append: Append<'_>) -> Appended {
    let first = journal.append(append);
    if !matches!(first, Appended::Unknown(_)) {
        return first;
    }
    for _ in 0..SETTLE_ATTEMPTS {
        let settled = journal.settle(append);
        if !matches!(settled, Appended::Unknown(_)) {
            return settled;
        }
    }
    first
}
