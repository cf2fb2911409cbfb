//! What a stream of root moves tells.

use kvs_proto::{Created, Moved, OwnerChanged, Removed, RootGap};

/// One event about the root of a namespace, in the order in which they happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootEvent {
    /// A root moved: which replaced which, by whom, and the keys it touched. Whole.
    Moved(Moved),
    /// A namespace was made, or got a new incarnation by a restore.
    Created(Created),
    /// A namespace got another owner.
    Owner(OwnerChanged),
    /// A namespace was removed.
    Removed(Removed),
    /// Moves of that namespace, or of any, could not be delivered: they are not retained any more, or the connection was
    /// lost and there is no place to go on from.
    Gap(RootGap),
}
