//! Putting the parts of a version or state together.

use crate::event::{Changes, Event, Initial};
use kvs_proto::{Change, ChangeValue};

/// What was collected and one part more.
pub(super) fn join(before: Event, part: Event) -> Event {
    match (before, part) {
        (Event::Initial(before), Event::Initial(part)) => {
            let mut entries = before.entries;
            entries.extend(part.entries);
            Event::Initial(Initial { entries, ..part })
        }
        (Event::Changes(before), Event::Changes(part)) => {
            let (mut changes, mut transactions) = (before.changes, before.transactions);
            changes.extend(part.changes);
            transactions.extend(part.transactions);
            Event::Changes(Changes {
                changes,
                transactions,
                skipped: before.skipped.max(part.skipped),
                ..part
            })
        }
        (_, part) => part,
    }
}

/// About how many bytes of memory it takes.
pub(super) fn size(event: &Event) -> usize {
    let changes: &[Change] = match event {
        Event::Initial(initial) => &initial.entries,
        Event::Changes(changes) => &changes.changes,
        Event::Gap(_) | Event::Created(_) | Event::Mark(_) | Event::Restart(_) => &[],
    };
    let value = |value: &ChangeValue| match value {
        ChangeValue::Bytes(bytes) => bytes.len(),
        _ => 0,
    };
    let one = |change: &Change| {
        size_of::<Change>()
            + change.key.len()
            + value(&change.value)
            + change.previous.as_ref().map_or(0, value)
    };
    changes.iter().map(one).sum()
}
