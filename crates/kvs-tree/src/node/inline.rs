//! The bytes of a value that stands in its directory's leaf. Short ones lie in the entry itself, so
//! that copying a leaf, which every version does with those that it changes, copies memory and
//! counts no references.

use bytes::Bytes;
use std::fmt;
use std::ops::Deref;

/// Longest value that lies in its entry, in bytes: so long that an entry is no larger than it must
/// be for other kinds.
const SHORT_BYTES: usize = 70;

/// At most [`crate::INLINE_BYTES`] bytes.
#[derive(Clone)]
pub(crate) struct Inline(Place);

#[derive(Clone)]
enum Place {
    Short(Short),
    Long(Bytes),
}

#[derive(Clone, Copy)]
struct Short {
    len: u8,
    bytes: [u8; SHORT_BYTES],
}

impl Inline {
    /// No bytes.
    pub(crate) const EMPTY: Inline = Inline(Place::Short(Short {
        len: 0,
        bytes: [0; SHORT_BYTES],
    }));

    /// These bytes; `share` is asked for them as something to hold on to if they are not short.
    pub(crate) fn new(bytes: &[u8], share: impl FnOnce() -> Bytes) -> Self {
        let mut short = [0; SHORT_BYTES];
        match short.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                let len = bytes.len() as u8;
                Inline(Place::Short(Short { len, bytes: short }))
            }
            None => Inline(Place::Long(share())),
        }
    }

    /// The bytes as something to hold on to: short ones are copied.
    pub(crate) fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Place::Short(_) => Bytes::copy_from_slice(self),
            Place::Long(bytes) => bytes.clone(),
        }
    }

    /// Bytes of memory outside of the entry.
    pub(crate) fn outside(&self) -> usize {
        match &self.0 {
            Place::Short(_) => 0,
            Place::Long(bytes) => bytes.len(),
        }
    }
}

impl Deref for Inline {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Place::Short(short) => {
                let len = usize::from(short.len);
                short.bytes.get(..len).unwrap_or_default()
            }
            Place::Long(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Inline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::INLINE_BYTES;
    use crate::node::{Directory, Entry};

    #[test]
    fn bytes_of_every_length_come_back() {
        let all = Bytes::from((0..=u8::MAX).collect::<Vec<_>>());
        for len in 0..=INLINE_BYTES {
            let bytes = all.slice(..len);
            let inline = Inline::new(&bytes, || bytes.clone());
            assert_eq!((&*inline, inline.to_bytes()), (&*bytes, bytes.clone()));
            assert_eq!(inline.outside(), if len <= SHORT_BYTES { 0 } else { len });
        }
    }

    #[test]
    fn short_values_make_no_entry_larger() {
        assert_eq!(size_of::<Entry>(), size_of::<Directory>() + 8);
    }
}
