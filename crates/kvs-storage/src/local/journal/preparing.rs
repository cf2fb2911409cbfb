//! The thread that prepares segments of the journal beside the work.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};

use super::spare::Spare;

/// The thread that prepares segments beside the work. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Preparing {
    orders: Option<Sender<()>>,
    /// An order is not carried out yet.
    busy: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Preparing {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(super) fn start(spare: Arc<Spare>) -> io::Result<Self> {
        let (orders, queue) = channel::<()>();
        let busy = Arc::new(AtomicBool::new(false));
        let carried_out = Arc::clone(&busy);
        let thread = Builder::new().name("kvs-prepare".to_owned());
        #[expect(
            clippy::disallowed_methods,
            reason = "it ends with its owner, and only prepares"
        )]
        let thread = thread.spawn(move || {
            // On a full disk preparing fails again and again; that is reported once, until it has
            // succeeded.
            let mut reported = false;
            for () in queue {
                let failed = spare.prepare().err();
                if let Some(error) = failed.as_ref().filter(|_| !reported) {
                    tracing::warn!("the next journal segment could not be prepared: {error}");
                }
                reported = failed.is_some();
                carried_out.store(false, Ordering::Release);
            }
        })?;
        Ok(Self {
            orders: Some(orders),
            busy,
            thread: Some(thread),
        })
    }

    /// Has the next segment prepared, unless that is under way.
    pub(super) fn order(&self) {
        if let Some(orders) = &self.orders
            && !self.busy.swap(true, Ordering::AcqRel)
        {
            // The thread ends only when this sender is gone.
            let _ = orders.send(());
        }
    }
}

impl Drop for Preparing {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
