//! The thread that prepares journal segments in the background.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};

use super::spare::Spare;

/// The thread that prepares segments in the background. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Preparing {
    orders: Option<Sender<()>>,
    /// A request is pending or in progress.
    busy: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Preparing {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system cannot start a thread.
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
            // On a full disk every preparation fails: a series of failures is reported only once.
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

    /// Requests the next segment, unless a request is pending.
    pub(super) fn order(&self) {
        if let Some(orders) = &self.orders
            && !self.busy.swap(true, Ordering::AcqRel)
        {
            // Cannot fail: the thread ends only after this sender is dropped.
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
