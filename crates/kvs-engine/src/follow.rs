//! Following roots: every move of a namespace's root, and namespaces that come and go.

use crate::error::EngineError;
use crate::event::RootEvent;

/// A cursor into the journal that tells of root moves and of namespaces.
pub struct Follower {}

impl Follower {
    /// The next event if there is one now; else `None`, and the follower's wake is called when there
    /// may be one.
    ///
    /// # Errors
    /// `NoNamespace` once the one namespace that is followed was removed, `Permission`, `Corrupt`.
    pub async fn next(&mut self) -> Result<Option<RootEvent>, EngineError> {
        Ok(None)
    }
}
