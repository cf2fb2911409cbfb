//! Passes on each byte of a growing value once, even if the daemon reports bytes again.
//!
//! Remembers the length and a hash of what was passed on. When the whole current value is reported
//! again (after a gap, or after a lost connection if a link leads into another namespace), it
//! either begins with those bytes, and only the rest is passed on, or it was replaced.

use std::ops::ControlFlow;

use anyhow::Result;
use blake3::Hasher;
use kvs_client::ValueReader;

use super::failure::{About as _, is_replaced};

/// The result of passing bytes on: `Break` when the consumer has enough.
pub(super) type Flow = Result<ControlFlow<()>>;

/// Bytes of a growing value, as reported by an event.
pub(super) enum Grown {
    /// The whole current value.
    Whole(ValueReader),
    /// Appended bytes.
    Appended {
        /// Their offset in the value.
        offset: u64,
        bytes: ValueReader,
        /// Whether more bytes of the same append follow.
        more: bool,
    },
}

/// How much of a value was passed on.
#[derive(Default)]
pub(super) struct Growth {
    size: u64,
    hash: Hasher,
}

impl Growth {
    /// Bytes passed on so far.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Passes new bytes on, piece by piece, until `give` has enough.
    ///
    /// # Errors
    /// `EINVAL` if the value does not begin with what was passed on.
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
                // Skip the part that was reported before.
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
