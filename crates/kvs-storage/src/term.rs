//! Ownership of a store, and the term during which it lasts.

use std::fmt;
use std::sync::Arc;

use crate::failure::Failure;

type Check = dyn Fn(bool) -> Result<(), Failure> + Send + Sync;

/// Checks whether its holder still owns the store. Cheap to clone; does not keep the store locked.
#[derive(Clone)]
pub struct Term(Arc<Check>);

impl Term {
    /// Creates a term that lasts while `check` succeeds.
    #[must_use]
    pub fn new(check: impl Fn(bool) -> Result<(), Failure> + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }

    /// Checks whether the term lasts. `thorough` includes more expensive checks. Local disk: one
    /// system call without I/O, two with `thorough`.
    ///
    /// # Errors
    /// The owner is deposed, or the store is gone. The caller must stop answering requests.
    pub fn check(&self, thorough: bool) -> Result<(), Failure> {
        (self.0)(thorough)
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Term")
    }
}

/// Keeps a store acquired. Once it is dropped another owner can acquire the store, even while parts
/// of this acquisition still exist.
#[must_use = "dropping it gives the store up"]
pub struct Ownership {
    term: Term,
    release: Option<Box<dyn FnOnce() + Send + Sync>>,
    undo: Box<dyn Fn() + Send + Sync>,
}

impl Ownership {
    /// Creates an ownership that calls `release` when it ends.
    pub fn new(term: Term, release: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self {
            term,
            release: Some(Box::new(release)),
            undo: Box::new(|| {}),
        }
    }

    /// Sets `undo`, which removes what the acquisition created.
    pub(crate) fn with_undo(mut self, undo: impl Fn() + Send + Sync + 'static) -> Self {
        self.undo = Box::new(undo);
        self
    }

    /// Undoes a failed start: removes a store that it created, as far as possible.
    pub fn abandon(&self) {
        (self.undo)();
    }

    /// Returns the term of this ownership.
    #[must_use]
    pub fn term(&self) -> Term {
        self.term.clone()
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            release();
        }
    }
}

impl fmt::Debug for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ownership")
    }
}
