//! What a stream of root moves tells.

use kvs_proto::{Created, Moved, OwnerChanged, Reincarnated, Removed, RootState};

/// One event about the root of a namespace, in the order in which they happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootEvent {
    /// How things stand: at the start if asked for. With `lost`, moves before it could not be delivered: they are not retained
    /// any more, or the connection was lost while all namespaces were followed.
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
