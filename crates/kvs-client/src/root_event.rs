//! What a stream of root moves tells.

use kvs_proto::{Created, Moved, OwnerChanged, Reincarnated, Removed, RootState};
use smol_str::SmolStr;

/// One event about the root of a namespace, in the order in which they happened. Each names its `place`, from which a later
/// stream can go on ([`FollowOptions::behind`](crate::FollowOptions::behind)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootEvent {
    /// How things stand: at the start if asked for. With `lost`, events before it could not be delivered: they are not retained
    /// any more, or the daemon has another store now, or lost the end of this one in a weaker durability mode.
    State(RootState),
    /// A root moved: which replaced which, by whom, and the keys it touched. Whole.
    Moved(Moved),
    /// A namespace was made.
    Created(Created),
    /// A namespace goes on under a new incarnation.
    Reincarnated(Reincarnated),
    /// A namespace has another owner. If that is another user than this one, it may be the last that is told of the namespace.
    OwnerChanged(OwnerChanged),
    /// A namespace was removed.
    Removed(Removed),
}

impl RootEvent {
    /// The place behind it.
    pub fn place(&self) -> &SmolStr {
        match self {
            RootEvent::State(state) => &state.place,
            RootEvent::Moved(moved) => &moved.place,
            RootEvent::Created(made) => &made.place,
            RootEvent::Reincarnated(anew) => &anew.place,
            RootEvent::OwnerChanged(changed) => &changed.place,
            RootEvent::Removed(gone) => &gone.place,
        }
    }
}
