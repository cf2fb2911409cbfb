//! Streams to a daemon inside its own process, for modules and tests: no socket, no system call.
//!
//! A client that connects this way is like any other. Its session has the same turns and limits,
//! and ends with the daemon as socket sessions do.

use std::io;

use kvs_client::{ConnectFuture, Connector, Transport};
use kvs_engine::Principal;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;

use crate::limits::{MEMORY_BACKLOG, MEMORY_STREAM_BYTES};

/// An opened stream and its principal.
type Opened = (DuplexStream, Principal);

/// Accepts in-memory streams. After it is dropped, new ones are refused.
#[derive(Debug)]
pub(crate) struct MemoryListener {
    opened: mpsc::Receiver<Opened>,
    /// Kept so that the listener waits forever when there is no connector.
    opener: mpsc::Sender<Opened>,
}

impl MemoryListener {
    /// A listener without connectors.
    pub(crate) fn new() -> MemoryListener {
        let (opener, opened) = mpsc::channel(MEMORY_BACKLOG);
        MemoryListener { opened, opener }
    }

    /// A connector that opens streams to this listener as `principal`.
    pub(crate) fn connector(&self, principal: Principal) -> MemoryConnector {
        MemoryConnector {
            opener: self.opener.clone(),
            principal,
        }
    }

    /// Accepts the next stream. Cancel-safe.
    pub(crate) async fn accept(&mut self) -> Opened {
        match self.opened.recv().await {
            Some(opened) => opened,
            None => std::future::pending().await,
        }
    }
}

/// Opens in-memory streams to one daemon as one principal, for `kvs_client::Client::connect_with`.
/// Fails once the daemon shuts down.
#[derive(Clone, Debug)]
pub struct MemoryConnector {
    opener: mpsc::Sender<Opened>,
    principal: Principal,
}

impl Connector for MemoryConnector {
    fn connect(&self) -> ConnectFuture {
        let (opener, principal) = (self.opener.clone(), self.principal);
        Box::pin(async move {
            let (near, far) = duplex(MEMORY_STREAM_BYTES);
            let opened = opener.send((far, principal)).await;
            opened.map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            Ok(Box::new(near) as Box<dyn Transport>)
        })
    }

    fn address(&self) -> String {
        format!("memory:{}", self.principal.uid())
    }
}
