//! What a watch tells.

use kvs_proto::{Changes, Gap, Initial, Position};

/// One event of a watch. Events come in the order of versions, each version once and whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The state when the watch began, if it was asked for. `last` is false only if it is too large to be handed out whole.
    Initial(Initial),
    /// What one version changed. `last` is false only if it is too large to be handed out whole.
    Changes(Changes),
    /// Some versions could not be delivered, they are not retained any more.
    Gap(Gap),
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
            Event::Restart(position) => *position,
        }
    }
}
