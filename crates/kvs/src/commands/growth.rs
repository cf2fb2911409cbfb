//! A value that grows, handed on byte by byte and each byte once, whatever the daemon tells again.
//!
//! What was handed on is remembered by its length and a hash. Where all that is there is told anew,
//! as it is behind a link into another namespace after a lost connection, and after versions that
//! are not retained any more, the value either begins with that, and only the rest is handed on, or
//! it was replaced.

use std::ops::ControlFlow;

use anyhow::Result;
use blake3::Hasher;
use kvs_client::ValueReader;

use super::failure::{About as _, is_replaced};

/// What is handed on: bytes, and whether there is enough of them.
pub(super) type Flow = Result<ControlFlow<()>>;

/// Bytes of a growing value, as an event tells them.
pub(super) enum Grown {
    /// All that there is now.
    Whole(ValueReader),
    /// Bytes that were appended.
    Appended {
        /// Where in the value they begin.
        offset: u64,
        /// The bytes.
        bytes: ValueReader,
        /// Whether more bytes of the same append follow.
        more: bool,
    },
}

/// How much of a value was handed on.
#[derive(Default)]
pub(super) struct Growth {
    size: u64,
    hash: Hasher,
}

impl Growth {
    /// How many bytes were handed on.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Hands on what is new of it, piece by piece, until there is enough.
    ///
    /// # Errors
    /// `EINVAL` if it does not begin with what was handed on.
    pub(super) async fn take(
        &mut self,
        context: &str,
        grown: Grown,
        mut give: impl AsyncFnMut(&[u8]) -> Flow,
    ) -> Flow {
        match grown {
            Grown::Appended {
                offset, mut bytes, ..
            } => {
                // A part that was told before is not handed on again.
                let known = self.size.checked_sub(offset);
                let mut known = known.ok_or_else(|| is_replaced(context))?;
                while let Some(piece) = bytes.next().await.about(context)? {
                    let old = usize::try_from(known).unwrap_or(usize::MAX);
                    let (old, new) = piece.split_at(old.min(piece.len()));
                    known -= old.len() as u64;
                    if !new.is_empty() && self.give(new, &mut give).await?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Ok(ControlFlow::Continue(()))
            }
            Grown::Whole(mut reader) => {
                let mut hash = Hasher::new();
                let mut known = self.size;
                if reader.size() < known {
                    return Err(is_replaced(context));
                }
                let mut checked = false;
                while let Some(piece) = reader.next().await.about(context)? {
                    let old = usize::try_from(known)
                        .unwrap_or(usize::MAX)
                        .min(piece.len());
                    let (before, new) = piece.split_at(old);
                    if !checked {
                        hash.update(before);
                        known -= before.len() as u64;
                        checked = known == 0;
                        if checked && hash.finalize() != self.hash.finalize() {
                            return Err(is_replaced(context));
                        }
                    }
                    if !new.is_empty() && self.give(new, &mut give).await?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Ok(ControlFlow::Continue(()))
            }
        }
    }

    async fn give(&mut self, new: &[u8], give: &mut impl AsyncFnMut(&[u8]) -> Flow) -> Flow {
        self.hash.update(new);
        self.size += new.len() as u64;
        give(new).await
    }
}
