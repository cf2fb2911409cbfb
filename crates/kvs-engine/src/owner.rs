//! Whether this engine still owns its store. Asked before each read of the newest state, since a
//! newer owner may have moved on.
//!
//! Ownership that was seen is relied on for a moment (`TERM_MS`), so that reads cost no system
//! call. Whoever takes a store over from an owner that may live waits longer than that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kvs_storage::limits::TERM_MS;

use crate::clock::Clock;
use crate::error::{EngineError, ErrorKind};
use crate::term::Term;

/// What the readers of a store know of its ownership.
pub(crate) struct Owner {
    term: Term,
    clock: Arc<dyn Clock>,
    /// Until then, in uptime, the store was seen to be owned.
    until: AtomicU64,
    /// For good.
    deposed: AtomicBool,
}

impl Owner {
    pub(crate) fn new(term: Term, clock: Arc<dyn Clock>) -> Self {
        Self {
            term,
            clock,
            until: AtomicU64::new(0),
            deposed: AtomicBool::new(false),
        }
    }

    /// Refuses to answer for a store that somebody else may own. Cost: a look at the clock, and now
    /// and then at the store.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        let now = self.clock.uptime_ms();
        if now < self.until.load(Ordering::Relaxed) {
            return Ok(());
        }
        let checked = match self.deposed.load(Ordering::Relaxed) {
            true => Err("the store has another owner".to_owned()),
            false => self.term.check(false).map_err(|gone| gone.to_string()),
        };
        match checked {
            Ok(()) => {
                self.until.store(now + TERM_MS, Ordering::Relaxed);
                Ok(())
            }
            Err(message) => {
                self.deposed.store(true, Ordering::Relaxed);
                Err(EngineError::new(ErrorKind::Unavailable, message))
            }
        }
    }
}
