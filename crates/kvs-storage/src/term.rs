//! Ownership of a store, and the term for which it lasts.

use std::fmt;
use std::sync::Arc;

use crate::failure::Failure;

type Check = dyn Fn(bool) -> Result<(), Failure> + Send + Sync;

/// Tells whether its holder still owns the store. Cheap to clone; does not keep the store locked.
#[derive(Clone)]
pub struct Term(Arc<Check>);

impl Term {
    /// A term that lasts while `check` succeeds.
    #[must_use]
    pub fn new(check: impl Fn(bool) -> Result<(), Failure> + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }

    /// Whether the term lasts. With `thorough`, looks for what takes longer to find out as well.
    /// Local disk: one system call without I/O, two if it is thorough.
    ///
    /// # Errors
    /// The owner is deposed, or the store is gone. It must not answer anything any more.
    pub fn check(&self, thorough: bool) -> Result<(), Failure> {
        (self.0)(thorough)
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Term")
    }
}

/// Keeps a store acquired. When it is dropped another owner can acquire the store, even while parts
/// of this acquisition are still alive.
#[must_use = "dropping it gives the store up"]
pub struct Ownership {
    term: Term,
    release: Option<Box<dyn FnOnce() + Send + Sync>>,
    undo: Box<dyn Fn() + Send + Sync>,
}

impl Ownership {
    /// An ownership that ends with a call of `release`.
    pub fn new(term: Term, release: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self {
            term,
            release: Some(Box::new(release)),
            undo: Box::new(|| {}),
        }
    }

    /// The same, where `undo` removes what the acquisition made.
    pub(crate) fn with_undo(mut self, undo: impl Fn() + Send + Sync + 'static) -> Self {
        self.undo = Box::new(undo);
        self
    }

    /// Undoes a start that failed: a store that was made by it is removed, as far as that is
    /// possible.
    pub fn abandon(&self) {
        (self.undo)();
    }

    /// How long it lasts.
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
