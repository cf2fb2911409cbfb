//! Checks that this engine still owns its store. Done before each read of the newest state, since
//! another owner may have taken over.
//!
//! A check is valid for a moment (`TERM_MS`), so that most reads cost no system call. A process
//! that takes a store over from an owner that may be alive waits longer than that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kvs_storage::limits::TERM_MS;

use crate::clock::Clock;
use crate::error::{EngineError, ErrorKind};
use crate::term::Term;

/// Ownership of a store, as known to its readers.
pub(crate) struct Owner {
    term: Term,
    clock: Arc<dyn Clock>,
    /// Uptime until which the last check is valid.
    until: AtomicU64,
    /// Ownership is lost, permanently.
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

    /// Refuses reads of a store that may have another owner. Cost: a clock read, and occasionally a
    /// check of the store.
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
