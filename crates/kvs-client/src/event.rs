//! What a watch tells.

use kvs_proto::{Changes, Gap, Initial, Position};

/// One event of a watch. Events come in the order of versions, each version once and whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The state when the watch began, if it was asked for, or the state after a gap: everything, or with `differences` what is
    /// otherwise than at the gap's `from`. `last` is false only if it is too large to be handed out whole.
    Initial(Initial),
    /// What one version changed. `last` is false only if it is too large to be handed out whole.
    Changes(Changes),
    /// Some versions could not be delivered, they are not retained any more or of another incarnation. The next event is the
    /// state at `to`.
    Gap(Gap),
    /// The namespace that the watch waited for was made.
    Created(Position),
    /// A bookmark: all up to here was handed out or does not concern the watch. Only if marks were asked for.
    Mark(Position),
    /// The connection was lost between two parts of a state or version too large to be handed out whole: forget the parts
    /// after this position, they come again from the first.
    Restart(Option<Position>),
}

impl Event {
    /// The position of the event; of a gap, its end.
    pub fn position(&self) -> Option<Position> {
        match self {
            Event::Initial(initial) => Some(initial.position),
            Event::Changes(changes) => Some(changes.position),
            Event::Gap(gap) => Some(gap.to),
            Event::Created(position) | Event::Mark(position) => Some(*position),
            Event::Restart(position) => *position,
        }
    }

    /// A reference to the state that the event is about, if it has one.
    pub fn snapshot(&self) -> Option<&str> {
        let snapshot = match self {
            Event::Initial(initial) => &initial.snapshot,
            Event::Changes(changes) => &changes.snapshot,
            Event::Gap(gap) => &gap.snapshot,
            Event::Created(_) | Event::Mark(_) | Event::Restart(_) => return None,
        };
        Some(snapshot.as_str()).filter(|snapshot| !snapshot.is_empty())
    }

    /// The position behind which a watch may be resumed once this event is handled; `None` if that does not complete anything.
    pub(crate) fn completes(&self) -> Option<Position> {
        match self {
            Event::Initial(initial) if initial.last => Some(initial.position),
            Event::Changes(changes) if changes.last => Some(changes.position),
            Event::Created(position) | Event::Mark(position) => Some(*position),
            // The state after a gap is yet to come.
            Event::Initial(_) | Event::Changes(_) | Event::Gap(_) | Event::Restart(_) => None,
        }
    }

    pub(crate) fn is_mark(&self) -> bool {
        matches!(self, Event::Mark(_))
    }
}
