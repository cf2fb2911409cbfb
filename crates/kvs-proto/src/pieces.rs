//! Encodes bodies of answers in pieces, so that long values are sent without a copy.

use crate::error::ProtocolError;
use bytes::{Bytes, BytesMut};
use serde::ser::Serialize;
use std::io::{self, Write};
use std::iter::Peekable;

/// Encodes the body of an answer in pieces, to be sent after a head
/// ([`write_head`](crate::write_head)). `payloads` are byte fields of the body, in the order in
/// which they are encoded. Those of at least `from` bytes become separate pieces that share their
/// memory; everything else is copied.
///
/// # Errors
/// If the body cannot be encoded.
pub fn encode_in_pieces<'a, T: Serialize>(
    body: &T,
    payloads: impl Iterator<Item = &'a Bytes>,
    from: usize,
) -> Result<Vec<Bytes>, ProtocolError> {
    let mut pieces = Pieces {
        payloads: payloads.filter(|payload| payload.len() >= from).peekable(),
        done: Vec::new(),
        open: BytesMut::new(),
    };
    rmp_serde::encode::write_named(&mut pieces, body).map_err(|error| ProtocolError::Body {
        what: "answer",
        reason: error.to_string(),
    })?;
    pieces.close();
    Ok(pieces.done)
}

/// The writer behind [`encode_in_pieces`].
struct Pieces<'a, I: Iterator<Item = &'a Bytes>> {
    payloads: Peekable<I>,
    done: Vec<Bytes>,
    open: BytesMut,
}

impl<'a, I: Iterator<Item = &'a Bytes>> Pieces<'a, I> {
    fn close(&mut self) {
        if !self.open.is_empty() {
            self.done.push(self.open.split().freeze());
        }
    }
}

impl<'a, I: Iterator<Item = &'a Bytes>> Write for Pieces<'a, I> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let same = |payload: &&'a Bytes| std::ptr::eq::<[u8]>(payload.as_ref(), bytes);
        match self.payloads.next_if(same) {
            Some(payload) => {
                self.close();
                self.done.push(payload.clone());
            }
            None => self.open.extend_from_slice(bytes),
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
