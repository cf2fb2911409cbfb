//! A connector that can be closed, and switched to another daemon.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use kvs_client::{ConnectFuture, Connector, Transport};
use tokio::task::AbortHandle;

use super::super::session::serve;
use super::super::shared::{Admission, Shared};
use super::CALLER;

/// A connector to a daemon that can be closed.
#[derive(Clone)]
pub(super) struct Gate {
    shared: Arc<Mutex<Arc<Shared>>>,
    served: Arc<Mutex<Vec<AbortHandle>>>,
    open: Arc<AtomicBool>,
}

impl Gate {
    /// An open connector.
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Gate {
            shared: Arc::new(Mutex::new(Arc::clone(shared))),
            served: Arc::default(),
            open: Arc::new(AtomicBool::new(true)),
        }
    }

    /// Drops all connections and accepts no more.
    pub(super) fn close(&self) {
        self.open.store(false, Ordering::SeqCst);
        self.served
            .lock()
            .unwrap()
            .drain(..)
            .for_each(|task| task.abort());
    }

    /// From now on it connects to another daemon.
    pub(super) fn lead_to(&self, shared: &Arc<Shared>) {
        *self.shared.lock().unwrap() = Arc::clone(shared);
    }

    /// Accepts connections again.
    pub(super) fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }
}

impl Connector for Gate {
    fn connect(&self) -> ConnectFuture {
        let gate = self.clone();
        Box::pin(async move {
            if !gate.open.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (near, far) = tokio::io::duplex(64 * 1024);
            let shared = Arc::clone(&gate.shared.lock().unwrap());
            let task = tokio::spawn(serve(shared, (far, |_| false), CALLER, Admission::Served));
            gate.served.lock().unwrap().push(task.abort_handle());
            io::Result::Ok(Box::new(near) as Box<dyn Transport>)
        })
    }

    fn address(&self) -> String {
        "gate".to_owned()
    }
}
