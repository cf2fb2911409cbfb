//! Connections that stop reading: incoming data stays in the socket.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use kvs_client::{ConnectFuture, Connector, Transport, UnixConnector};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Connects normally; once `stalled` is set, its connections stop reading.
pub(crate) struct StallingConnector {
    /// The underlying connector.
    pub(crate) inner: UnixConnector,
    /// When set, nothing is read any more.
    pub(crate) stalled: Arc<AtomicBool>,
}

struct Stalling {
    inner: Box<dyn Transport>,
    stalled: Arc<AtomicBool>,
}

impl Connector for StallingConnector {
    fn connect(&self) -> ConnectFuture {
        let (connecting, stalled) = (self.inner.connect(), self.stalled.clone());
        Box::pin(async move {
            let inner = connecting.await?;
            Ok(Box::new(Stalling { inner, stalled }) as Box<dyn Transport>)
        })
    }

    fn address(&self) -> String {
        self.inner.address()
    }
}

impl AsyncRead for Stalling {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.stalled.load(Ordering::Relaxed) {
            // Never woken: the connection is stalled permanently.
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stalling {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
