//! Bytes waiting to be sent on one connection: frames in one buffer, and between them bodies that
//! are shared with other connections without a copy.
//!
//! Everything is sent with as few writes as the socket allows. The outbox is unbounded: callers
//! check its length before they add to it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use crate::limits::{OUTBOX_SPARE_BYTES, SHARED_BODY_BYTES, WRITE_PIECES};

/// The bytes waiting to be sent on one connection.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Sent first.
    sealed: VecDeque<Bytes>,
    /// Total bytes of the sealed pieces.
    sealed_bytes: usize,
    /// Sent last; new frames are appended here.
    open: BytesMut,
}

impl Outbox {
    /// The buffer to append frames to.
    pub(crate) fn frames(&mut self) -> &mut BytesMut {
        &mut self.open
    }

    /// Adds bytes that others hold as well: copied if short, shared if long.
    pub(crate) fn share(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARED_BODY_BYTES {
            return self.open.extend_from_slice(bytes);
        }
        if !self.open.is_empty() {
            let before = self.open.split().freeze();
            self.sealed_bytes += before.len();
            self.sealed.push_back(before);
        }
        self.sealed_bytes += bytes.len();
        self.sealed.push_back(bytes.clone());
    }

    /// The address of the last shared piece.
    #[cfg(test)]
    pub(crate) fn shared(&self) -> Option<*const u8> {
        self.sealed.back().map(|piece| piece.as_ptr())
    }

    /// Number of waiting bytes.
    pub(crate) fn len(&self) -> usize {
        self.sealed_bytes + self.open.len()
    }

    /// Whether no bytes wait.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes waiting bytes, as far as the stream accepts them. Ready with the number of bytes, 0
    /// only if nothing waits.
    pub(crate) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let stream = Pin::new(stream);
        let count = if self.sealed.is_empty() {
            ready!(stream.poll_write(cx, &self.open))?
        } else {
            let pieces = self.sealed.iter().map(|piece| IoSlice::new(piece));
            let last = (!self.open.is_empty()).then(|| IoSlice::new(&self.open));
            let pieces: Vec<_> = pieces.chain(last).take(WRITE_PIECES).collect();
            ready!(stream.poll_write_vectored(cx, &pieces))?
        };
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(count);
        Poll::Ready(Ok(count))
    }

    /// Drops the first `count` bytes after they were written.
    fn advance(&mut self, mut count: usize) {
        while let Some(piece) = self.sealed.front_mut() {
            let part = count.min(piece.len());
            piece.advance(part);
            self.sealed_bytes -= part;
            count -= part;
            if !piece.is_empty() {
                return;
            }
            self.sealed.pop_front();
        }
        self.open.advance(count);
        // Release the memory of a burst.
        if self.open.is_empty() && self.open.capacity() > OUTBOX_SPARE_BYTES {
            self.open = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn pieces_leave_in_the_order_in_which_they_came() {
        let (mut near, mut far) = tokio::io::duplex(777);
        let mut out = Outbox::default();
        let mut wanted = Vec::new();
        for n in 0..40_u8 {
            let large = Bytes::from(vec![n; SHARED_BODY_BYTES + usize::from(n)]);
            for bytes in [Bytes::from(vec![n; 10]), large] {
                wanted.extend_from_slice(&bytes);
                out.share(&bytes);
            }
            wanted.push(n);
            out.frames().extend_from_slice(&[n]);
        }
        assert_eq!(out.len(), wanted.len());
        let send = async {
            while poll_fn(|cx| out.poll_write(&mut near, cx)).await.unwrap() > 0 {}
            near.shutdown().await.unwrap();
        };
        let mut received = Vec::new();
        let (_, count) = tokio::join!(send, far.read_to_end(&mut received));
        assert_eq!(count.unwrap(), wanted.len());
        assert!(received == wanted && out.is_empty());
    }

    #[test]
    fn a_large_body_is_shared_and_not_copied() {
        let body = Bytes::from(vec![1; SHARED_BODY_BYTES]);
        let mut out = Outbox::default();
        out.frames().extend_from_slice(b"head");
        out.share(&body);
        assert_eq!(out.sealed[1].as_ptr(), body.as_ptr());
        assert_eq!((out.len(), out.open.len()), (4 + body.len(), 0));
    }

    #[tokio::test]
    async fn the_memory_of_a_burst_is_given_back() {
        let (mut near, mut far) = tokio::io::duplex(1 << 20);
        let mut out = Outbox::default();
        out.frames().resize(OUTBOX_SPARE_BYTES * 2, 0);
        while poll_fn(|cx| out.poll_write(&mut near, cx)).await.unwrap() > 0 {}
        assert!(out.open.capacity() <= OUTBOX_SPARE_BYTES);
        drop(near);
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.unwrap();
        assert_eq!(received.len(), OUTBOX_SPARE_BYTES * 2);
    }
}
