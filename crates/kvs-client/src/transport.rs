//! The seam to the outside world: how a byte stream to the daemon is opened.
//!
//! Tests and modules inside the daemon bring their own connector over an in-memory stream.

use crate::address::Address;
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

const NO_DRIVER: &str = "the Tokio runtime has no I/O; build it with `enable_all`";

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
            let mut connecting = Box::pin(UnixStream::connect(path));
            let stream = poll_fn(|context| {
                // In a runtime without I/O Tokio panics.
                catch_unwind(AssertUnwindSafe(|| connecting.as_mut().poll(context)))
                    .unwrap_or_else(|_| Poll::Ready(Err(io::Error::other(NO_DRIVER))))
            })
            .await?;
            Ok(Box::new(stream) as Box<dyn Transport>)
        })
    }

    fn address(&self) -> String {
        self.address.to_string()
    }
}
