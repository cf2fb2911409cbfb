//! The bytes of a value stored in its directory's leaf. Short ones are part of the entry itself.
//! Every version copies the leaves that it changes; this way a copy moves plain memory and updates
//! no reference counts.

use bytes::Bytes;
use std::fmt;
use std::ops::Deref;

/// Maximum length of a value that is part of its entry, in bytes. Chosen so that it does not make
/// an entry larger than the other kinds require.
const SHORT_BYTES: usize = 70;

/// Up to [`crate::INLINE_BYTES`] bytes.
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
    /// The empty value.
    pub(crate) const EMPTY: Inline = Inline(Place::Short(Short {
        len: 0,
        bytes: [0; SHORT_BYTES],
    }));

    /// An inline value of `bytes`. If these are not short, `share` supplies them as a [`Bytes`].
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

    /// The bytes as a shareable buffer; short ones are copied.
    pub(crate) fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Place::Short(_) => Bytes::copy_from_slice(self),
            Place::Long(bytes) => bytes.clone(),
        }
    }

    /// Memory outside of the entry, in bytes.
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
