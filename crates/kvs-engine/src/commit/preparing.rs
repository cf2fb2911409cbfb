//! The thread that prepares segments of the journal beside the work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use crate::error::EngineError;
use crate::journal::Preparer;
use crate::workers::spawn;

/// The thread that prepares segments beside the work.
pub(super) struct Preparing {
    orders: Sender<Preparer>,
    /// An order is not carried out yet.
    busy: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Preparing {
    pub(super) fn start() -> Result<Self, EngineError> {
        let (orders, queue) = channel::<Preparer>();
        let busy = Arc::new(AtomicBool::new(false));
        let carried_out = Arc::clone(&busy);
        let thread = spawn("kvs-prepare", move || {
            // On a full disk preparing fails again and again; that is told once, until it has succeeded.
            let mut told = false;
            for preparer in queue {
                let failed = preparer.run().err();
                if let Some(error) = failed.as_ref().filter(|_| !told) {
                    tracing::warn!("the next journal segment could not be prepared: {error}");
                }
                told = failed.is_some();
                carried_out.store(false, Ordering::Release);
            }
        })?;
        Ok(Self {
            orders,
            busy,
            thread,
        })
    }

    /// Has the next segment prepared, unless that is under way.
    pub(super) fn order(&self, preparer: Preparer) {
        if !self.busy.swap(true, Ordering::AcqRel) {
            // The thread ends only when this sender is gone.
            drop(self.orders.send(preparer));
        }
    }

    pub(super) fn stop(self) {
        drop(self.orders);
        let _ = self.thread.join();
    }
}
