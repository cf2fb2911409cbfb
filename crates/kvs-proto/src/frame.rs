//! Frames: a length, then `[id, op or status, body]`.
//!
//! The envelope is decoded by hand and the body kept as bytes, so that a request with an unknown
//! operation or a malformed body can still be answered under its id.

use crate::bounds;
use crate::brief;
use crate::code::{ErrorBody, ErrorCode};
use crate::committed;
use crate::error::ProtocolError;
use crate::found;
use crate::limits::{ERROR_MESSAGE_CHARS, FRAME_BYTES, READ_BUFFER_BYTES, READ_SPARE_BYTES};
use crate::pack::{Rest, number};
use crate::plain;
use crate::position::Position;
use crate::request::Request;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kvs_tree::{Blobref, OperationResult};
use rmp::decode::{read_array_len, read_int};
use serde::ser::Serialize;
use std::io::{self, Write};
use tokio_util::codec::{Decoder, Encoder};

const LENGTH_BYTES: usize = 4;

/// Maximum bytes before a body: length, array head, id and tag.
const ENVELOPE_BYTES: usize = LENGTH_BYTES + 1 + 9 + 9;

/// The kind of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The last answer under its id.
    Final,
    /// The last answer under its id, an `ErrorBody`.
    Error,
    /// An item of a stream; more follow under its id.
    Item,
}

impl Status {
    /// The integer on the wire.
    pub fn code(self) -> u64 {
        match self {
            Status::Final => 0,
            Status::Error => 1,
            Status::Item => 2,
        }
    }

    /// The status for an integer from the wire.
    pub fn from_code(code: u64) -> Result<Self, ProtocolError> {
        match code {
            0 => Ok(Status::Final),
            1 => Ok(Status::Error),
            2 => Ok(Status::Item),
            _ => Err(ProtocolError::Envelope),
        }
    }
}

/// A message whose body is not decoded yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Chosen by the client; unique among its unanswered requests.
    pub id: u64,
    /// Operation code in a request, status in an answer.
    pub tag: u64,
    /// The body as MessagePack. Shares the memory of the read buffer.
    pub body: Bytes,
}

/// Splits a byte stream into frames. Checks a frame's stated length against the limit before it
/// allocates, and never allocates more than that length.
#[derive(Debug, Clone)]
pub struct FrameCodec {
    limit: usize,
}

impl FrameCodec {
    /// A codec that refuses frames of more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        FrameCodec { limit }
    }
}

/// A complete frame that borrows from the read buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peeked<'a> {
    /// As in [`Frame`].
    pub id: u64,
    /// As in [`Frame`].
    pub tag: u64,
    /// As in [`Frame`].
    pub body: &'a [u8],
    /// Length of the whole frame in bytes.
    pub bytes: usize,
}

impl FrameCodec {
    /// The next frame if it is complete and well-formed. Consumes nothing.
    pub fn peek<'a>(&self, source: &'a [u8]) -> Option<Peeked<'a>> {
        let (head, rest) = source.split_first_chunk::<LENGTH_BYTES>()?;
        let bytes = u32::from_be_bytes(*head) as usize;
        if bytes > self.limit {
            return None;
        }
        let (id, tag, body) = envelope_of(rest.get(..bytes)?).ok()?;
        Some(Peeked {
            id,
            tag,
            body,
            bytes: LENGTH_BYTES + bytes,
        })
    }
}

impl Default for FrameCodec {
    fn default() -> Self {
        FrameCodec::new(FRAME_BYTES)
    }
}

impl Decoder for FrameCodec {
    type Item = Frame;
    type Error = ProtocolError;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Frame>, ProtocolError> {
        let Some(head) = source.first_chunk::<LENGTH_BYTES>() else {
            make_room(source, LENGTH_BYTES);
            return Ok(None);
        };
        let bytes = u32::from_be_bytes(*head) as usize;
        if bytes > self.limit {
            return Err(ProtocolError::FrameTooLong {
                bytes,
                limit: self.limit,
            });
        }
        let missing = (LENGTH_BYTES + bytes).saturating_sub(source.len());
        if missing > 0 {
            make_room(source, missing);
            return Ok(None);
        }
        source.advance(LENGTH_BYTES);
        open(source.split_to(bytes).freeze()).map(Some)
    }
}

/// Writes a frame with an encoded body. Messages use `write_request` and `write_answer`, which save
/// a copy.
impl Encoder<Frame> for FrameCodec {
    type Error = ProtocolError;

    fn encode(&mut self, frame: Frame, out: &mut BytesMut) -> Result<(), ProtocolError> {
        write(out, self.limit, frame.id, frame.tag, "frame", |out| {
            out.put_slice(&frame.body);
            Ok(())
        })
    }
}

/// Grows the buffer only when it has become small: frames split off from it may still be in use,
/// and then growing allocates.
fn make_room(buffer: &mut BytesMut, missing: usize) {
    let spare = buffer.capacity() - buffer.len();
    if spare < missing.max(READ_SPARE_BYTES) {
        buffer.reserve(missing.max(READ_BUFFER_BYTES));
    }
}

fn open(frame: Bytes) -> Result<Frame, ProtocolError> {
    let (id, tag, body) = envelope_of(&frame)?;
    let before = frame.len() - body.len();
    let mut body = frame;
    body.advance(before);
    Ok(Frame { id, tag, body })
}

/// Id, tag and body of a frame, given without its length.
#[inline]
fn envelope_of(frame: &[u8]) -> Result<(u64, u64, &[u8]), ProtocolError> {
    if let Some(ordinary) = ordinary_envelope_of(frame) {
        return Ok(ordinary);
    }
    let mut rest = frame;
    let length = read_array_len(&mut rest).map_err(|_| ProtocolError::Envelope)?;
    if length != 3 {
        return Err(ProtocolError::Envelope);
    }
    let id: u64 = read_int(&mut rest).map_err(|_| ProtocolError::Envelope)?;
    let tag: u64 = read_int(&mut rest).map_err(|_| ProtocolError::Envelope)?;
    Ok((id, tag, rest))
}

/// Fast path for the usual form of the envelope.
#[inline]
fn ordinary_envelope_of(frame: &[u8]) -> Option<(u64, u64, &[u8])> {
    let mut rest = Rest(frame);
    let (id, tag) = (rest.skip(b"\x93")?.number()?, rest.number()?);
    Some((id, tag, rest.0))
}

/// Appends what an encoder writes. Encoders write a byte or two at a time, so each write must be
/// cheap: with the writer of `BytesMut`, the frame of a put took 60% more instructions.
struct Appender<'a>(&'a mut BytesMut);

impl Write for Appender<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(
    out: &mut BytesMut,
    limit: usize,
    id: u64,
    tag: u64,
    what: &'static str,
    body: impl FnOnce(&mut BytesMut) -> Result<(), rmp_serde::encode::Error>,
) -> Result<(), ProtocolError> {
    let start = out.len();
    envelope(out, id, tag);
    let written = body(out).map_err(|error| ProtocolError::Body {
        what,
        reason: error.to_string(),
    });
    let written = written.and_then(|()| set_length(out, start, 0, limit));
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Appends everything before the body, with a zero length that is filled in later.
#[inline]
fn envelope(out: &mut BytesMut, id: u64, tag: u64) {
    out.reserve(ENVELOPE_BYTES);
    out.extend_from_slice(&[0, 0, 0, 0, 0x93]);
    number(out, id);
    number(out, tag);
}

/// Fills in the length of the frame that begins at `start`, with `more` bytes still to come.
fn set_length(
    out: &mut BytesMut,
    start: usize,
    more: usize,
    limit: usize,
) -> Result<(), ProtocolError> {
    let bytes = out.len() - start - LENGTH_BYTES + more;
    if bytes > limit.min(u32::MAX as usize) {
        return Err(ProtocolError::FrameTooLong { bytes, limit });
    }
    if let Some(length) = out.get_mut(start..start + LENGTH_BYTES) {
        length.copy_from_slice(&(bytes as u32).to_be_bytes());
    }
    Ok(())
}

/// Appends everything before a body of `body_bytes` bytes from `encode_body`, which the caller
/// sends right after it. On an error (too long) `out` is unchanged.
pub fn write_head(
    out: &mut BytesMut,
    limit: usize,
    id: u64,
    status: Status,
    body_bytes: usize,
) -> Result<(), ProtocolError> {
    let start = out.len();
    envelope(out, id, status.code());
    let written = set_length(out, start, body_bytes, limit);
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Appends the frame of a request to `out`. On an error `out` is unchanged.
pub fn write_request(
    out: &mut BytesMut,
    limit: usize,
    id: u64,
    request: &Request,
) -> Result<(), ProtocolError> {
    let op = request.op();
    if let Request::Commit(commit) = request {
        bounds::check_count(op.name(), "conditions", commit.conditions.len())?;
        bounds::check_count(op.name(), "operations", commit.operations.len())?;
    }
    write(out, limit, id, op.code(), op.name(), |out| {
        let by_hand = match request {
            Request::Lookup(lookup) => brief::asked(out, lookup),
            Request::Commit(commit) => plain::commit(out, commit),
            _ => false,
        };
        if by_hand {
            return Ok(());
        }
        request.write_body(&mut Appender(out))
    })
}

/// Appends the frame of an answer or stream item to `out`. On an error (too long) `out` is
/// unchanged, and the caller sends that error instead.
pub fn write_answer<T: Serialize>(
    out: &mut BytesMut,
    limit: usize,
    id: u64,
    status: Status,
    body: &T,
) -> Result<(), ProtocolError> {
    write(out, limit, id, status.code(), "answer", |out| {
        rmp_serde::encode::write_named(&mut Appender(out), body)
    })
}

/// Appends the frame of the answer to a lookup that found this value at the requested key.
/// Equivalent to [`write_answer`], but faster.
///
/// # Errors
/// If it is too long; then `out` is unchanged.
pub fn write_found(
    out: &mut BytesMut,
    limit: usize,
    id: u64,
    value: &[u8],
    position: Position,
    root: Option<&Blobref>,
) -> Result<(), ProtocolError> {
    write(out, limit, id, Status::Final.code(), "answer", |out| {
        found::found(out, value, position, root);
        Ok(())
    })
}

/// Appends the frame of the answer to a commit. Equivalent to [`write_answer`], but faster.
///
/// # Errors
/// If it is too long; then `out` is unchanged.
pub fn write_committed(
    out: &mut BytesMut,
    limit: usize,
    id: u64,
    (position, results, root): (Position, &[OperationResult], Option<&Blobref>),
) -> Result<(), ProtocolError> {
    write(out, limit, id, Status::Final.code(), "answer", |out| {
        committed::committed(out, position, results, root);
        Ok(())
    })
}

/// Appends an error answer. A very long message is truncated, so that it always fits.
pub fn write_error(out: &mut BytesMut, id: u64, code: ErrorCode, message: &str) {
    let message: String = message.chars().take(ERROR_MESSAGE_CHARS).collect();
    let body = ErrorBody::new(code, message);
    let written = write_answer(out, FRAME_BYTES, id, Status::Error, &body);
    debug_assert!(written.is_ok(), "an error answer always fits");
}
