//! One connection as bytes: a buffer in each direction, and the frame codec between.
//!
//! Works on any byte stream: a socket, or an in-memory pipe in tests and inside the daemon.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use kvs_proto::{Frame, FrameCodec, Peeked, ProtocolError, READ_BUFFER_BYTES};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio_util::codec::Decoder;

use super::outbox::Outbox;
use crate::limits::READ_BYTES;

/// The byte stream of a connection, with its buffers.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    stream: S,
    codec: FrameCodec,
    input: BytesMut,
    /// Bytes waiting to be sent. The code that adds to it must bound its length.
    pub(crate) out: Outbox,
    /// Whether the last read filled its buffer.
    busy: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// A connection over a new stream.
    pub(crate) fn new(stream: S) -> Connection<S> {
        Connection {
            stream,
            codec: FrameCodec::default(),
            input: BytesMut::new(),
            out: Outbox::default(),
            busy: false,
        }
    }

    /// A connection whose first frame may have at most `most` bytes.
    pub(crate) fn before_hello(stream: S, most: usize) -> Connection<S> {
        Connection {
            codec: FrameCodec::new(most),
            ..Connection::new(stream)
        }
    }

    /// Raises the limit to that of ordinary frames.
    pub(crate) fn greeted(&mut self) {
        self.codec = FrameCodec::default();
    }

    /// Applies a check to the stream.
    pub(crate) fn peer_is(&self, so: fn(&S) -> bool) -> bool {
        so(&self.stream)
    }

    /// The announced length in bytes of the frame that is being received.
    pub(crate) fn incoming(&self) -> usize {
        let head = self.input.first_chunk::<4>();
        head.map_or(0, |head| u32::from_be_bytes(*head) as usize)
    }

    /// The next complete frame that was received, if there is one.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>, ProtocolError> {
        if self.input.is_empty() {
            return Ok(None);
        }
        self.codec.decode(&mut self.input)
    }

    /// The next complete and well-formed frame, in place, and the buffer for answers.
    pub(crate) fn peek(&mut self) -> Option<(Peeked<'_>, &mut BytesMut)> {
        let frame = self.codec.peek(&self.input)?;
        Some((frame, self.out.frames()))
    }

    /// Discards the first `bytes` that were received: a frame that was peeked at.
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.input.advance(bytes);
    }

    /// Receives more bytes; 0 at the end of the stream.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.reserve(if self.busy {
            READ_BUFFER_BYTES
        } else {
            READ_BYTES
        });
        let room = self.input.capacity() - self.input.len();
        // `read_buf` keeps no state between polls, so its future may be recreated each time.
        let count = match pin!(self.stream.read_buf(&mut self.input)).poll(cx) {
            Poll::Ready(count) => count?,
            Poll::Pending => {
                // Release the memory of a burst.
                if self.input.is_empty() && self.input.capacity() > READ_BYTES {
                    self.input = BytesMut::new();
                }
                return Poll::Pending;
            }
        };
        self.busy = count == room;
        Poll::Ready(Ok(count))
    }

    /// Sends waiting bytes, as far as the stream accepts them. Ready with the number of bytes, 0
    /// only if nothing waits.
    pub(crate) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.out.poll_write(&mut self.stream, cx)
    }

    /// Waits for the next frame; `None` at the end of the stream.
    pub(crate) async fn read_frame(&mut self) -> Result<Option<Frame>, ProtocolError> {
        loop {
            if let Some(frame) = self.next_frame()? {
                return Ok(Some(frame));
            }
            if poll_fn(|cx| self.poll_fill(cx)).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Sends everything that waits.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        while poll_fn(|cx| self.poll_drain(cx)).await? > 0 {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvs_proto::{ErrorCode, write_error};
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn frames_cross_in_pieces_of_any_size() {
        let (near, far) = tokio::io::duplex(7);
        let (mut near, mut far) = (Connection::new(near), Connection::new(far));
        for id in 0..100 {
            write_error(near.out.frames(), id, ErrorCode::NotFound, "nothing here");
        }
        let send = async {
            near.flush().await.unwrap();
            near.stream.shutdown().await.unwrap();
        };
        let receive = async {
            let mut ids = Vec::new();
            while let Some(frame) = far.read_frame().await.unwrap() {
                ids.push(frame.id);
            }
            ids
        };
        let ((), ids) = tokio::join!(send, receive);
        assert_eq!(ids, (0..100).collect::<Vec<_>>());
    }
}
