//! The seam to the outside world: how a byte stream to the daemon is opened.
//!
//! Tests and modules inside the daemon bring their own connector over an in-memory stream.

use crate::address::Address;
use std::io;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

/// A byte stream to a daemon.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// An attempt to open a byte stream.
pub type ConnectFuture = Pin<Box<dyn Future<Output = io::Result<Box<dyn Transport>>> + Send>>;

/// Opens byte streams to one daemon, again after each loss.
pub trait Connector: Send + Sync + 'static {
    /// Begins one attempt. It is dropped when it takes too long.
    fn connect(&self) -> ConnectFuture;

    /// The address, for messages.
    fn address(&self) -> String;
}

/// Connects to a unix socket.
#[derive(Debug, Clone)]
pub struct UnixConnector {
    address: Address,
}

impl UnixConnector {
    /// A connector to that address.
    pub fn new(address: Address) -> Self {
        UnixConnector { address }
    }
}

impl Connector for UnixConnector {
    fn connect(&self) -> ConnectFuture {
        let Address::Unix(path) = self.address.clone();
        Box::pin(async move {
            let stream = UnixStream::connect(path).await?;
            Ok(Box::new(stream) as Box<dyn Transport>)
        })
    }

    fn address(&self) -> String {
        self.address.to_string()
    }
}
