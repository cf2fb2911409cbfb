//! Appending a group until it is known what became of it.

use crate::journal::{Append, Appended, Journal};
use crate::limits::SETTLE_ATTEMPTS;

/// Appends a group. An answer that says "unknown" is settled, as far as the journal can: a local
/// disk whose sync failed never can. The error that is returned for it is the first one.
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
