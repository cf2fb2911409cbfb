//! Streams to a daemon inside its own process, for modules and tests: no socket, no system call.
//!
//! What connects this way is a client like any other. Its session has the same turns and bounds,
//! and ends with the daemon as those over sockets do.

use std::io;

use kvs_client::{ConnectFuture, Connector, Transport};
use kvs_engine::Principal;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;

use crate::limits::{MEMORY_BACKLOG, MEMORY_STREAM_BYTES};

/// A stream that was opened, and on whose behalf.
type Opened = (DuplexStream, Principal);

/// Where in-memory streams arrive. Those opened after it was dropped are refused.
#[derive(Debug)]
pub(crate) struct MemoryListener {
    opened: mpsc::Receiver<Opened>,
    /// Kept, so that the listener waits for ever when nobody else can open a stream.
    opener: mpsc::Sender<Opened>,
}

impl MemoryListener {
    /// A listener that nobody has connected to.
    pub(crate) fn new() -> MemoryListener {
        let (opener, opened) = mpsc::channel(MEMORY_BACKLOG);
        MemoryListener { opened, opener }
    }

    /// Opens streams to this listener.
    pub(crate) fn connector(&self, principal: Principal) -> MemoryConnector {
        MemoryConnector {
            opener: self.opener.clone(),
            principal,
        }
    }

    /// The next stream. Can be dropped and called again.
    pub(crate) async fn accept(&mut self) -> Opened {
        match self.opened.recv().await {
            Some(opened) => opened,
            None => std::future::pending().await,
        }
    }
}

/// Opens in-memory streams to one daemon as one principal, for `kvs_client::Client::connect_with`.
/// It is refused once the daemon shuts down.
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
