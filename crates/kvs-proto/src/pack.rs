//! MessagePack by hand: writes byte for byte what serde writes, and reads it back.
//!
//! Strings, bytes and integers have several encodings. Readers accept all of them; writers use the
//! shortest.

use crate::limits::TEXT_BYTES;
use bytes::BytesMut;
use kvs_tree::Blobref;

/// The encoding of nil: a field that is absent.
pub(crate) const NIL: u8 = 0xc0;

/// Appends a head byte and the bytes that follow it.
#[inline]
fn with_head<const N: usize>(out: &mut BytesMut, head: u8, rest: [u8; N]) {
    out.extend_from_slice(&[head]);
    out.extend_from_slice(&rest);
}

/// Appends a non-negative integer.
#[inline]
pub(crate) fn number(out: &mut BytesMut, number: u64) {
    match number {
        0..=0x7f => out.extend_from_slice(&[number as u8]),
        0x80..=0xff => with_head(out, 0xcc, [number as u8]),
        0x100..=0xffff => with_head(out, 0xcd, (number as u16).to_be_bytes()),
        0x1_0000..=0xffff_ffff => with_head(out, 0xce, (number as u32).to_be_bytes()),
        _ => with_head(out, 0xcf, number.to_be_bytes()),
    }
}

/// Appends an integer.
#[inline]
pub(crate) fn signed(out: &mut BytesMut, value: i64) {
    match value {
        0.. => number(out, value.unsigned_abs()),
        -0x20..0 => out.extend_from_slice(&[value as u8]),
        -0x80..-0x20 => with_head(out, 0xd0, [value as u8]),
        -0x8000..-0x80 => with_head(out, 0xd1, (value as i16).to_be_bytes()),
        -0x8000_0000..-0x8000 => with_head(out, 0xd2, (value as i32).to_be_bytes()),
        _ => with_head(out, 0xd3, value.to_be_bytes()),
    }
}

/// Appends a string.
#[inline]
pub(crate) fn text(out: &mut BytesMut, text: &str) {
    match text.len() {
        length @ 0..=0x1f => out.extend_from_slice(&[0xa0 | length as u8]),
        length @ 0x20..=0xff => with_head(out, 0xd9, [length as u8]),
        length @ 0x100..=0xffff => with_head(out, 0xda, (length as u16).to_be_bytes()),
        length => with_head(out, 0xdb, (length as u32).to_be_bytes()),
    }
    out.extend_from_slice(text.as_bytes());
}

/// Appends bytes.
#[inline]
pub(crate) fn binary(out: &mut BytesMut, bytes: &[u8]) {
    match bytes.len() {
        length @ 0..=0xff => with_head(out, 0xc4, [length as u8]),
        length @ 0x100..=0xffff => with_head(out, 0xc5, (length as u16).to_be_bytes()),
        length => with_head(out, 0xc6, (length as u32).to_be_bytes()),
    }
    out.extend_from_slice(bytes);
}

/// Appends the digest of an object, or nil.
#[inline]
pub(crate) fn digest(out: &mut BytesMut, object: Option<&Blobref>) {
    match object {
        Some(object) => binary(out, object.digest()),
        None => out.extend_from_slice(&[NIL]),
    }
}

/// Appends the head of an array.
#[inline]
pub(crate) fn array(out: &mut BytesMut, length: usize) {
    match length {
        0..=15 => out.extend_from_slice(&[0x90 | length as u8]),
        16..=0xffff => with_head(out, 0xdc, (length as u16).to_be_bytes()),
        _ => with_head(out, 0xdd, (length as u32).to_be_bytes()),
    }
}

/// The kind of an item, and how much follows its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    /// A number, nil, boolean or extension: N more bytes.
    Scalar(usize),
    /// A string of N bytes.
    Text(usize),
    /// N bytes.
    Binary(usize),
    /// N elements.
    Array(usize),
    /// N key-value pairs.
    Map(usize),
}

/// The input that has not been read yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rest<'a>(pub(crate) &'a [u8]);

impl<'a> Rest<'a> {
    /// Skips `bytes` if they come next.
    #[inline]
    pub(crate) fn skip(&mut self, bytes: &[u8]) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(bytes)?;
        Some(self)
    }

    /// The next `count` bytes.
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next byte.
    #[inline]
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    #[inline]
    fn integer<const N: usize>(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(
            bytes
                .iter()
                .fold(0, |all, byte| all << 8 | u64::from(*byte)),
        )
    }

    /// A non-negative integer.
    #[inline]
    pub(crate) fn number(&mut self) -> Option<u64> {
        match self.byte()? {
            small @ 0..=0x7f => Some(small.into()),
            0xcc => self.integer::<1>(),
            0xcd => self.integer::<2>(),
            0xce => self.integer::<4>(),
            0xcf => self.integer::<8>(),
            _ => None,
        }
    }

    /// An integer of either sign.
    #[inline]
    pub(crate) fn signed(&mut self) -> Option<i64> {
        let marker = *self.0.first()?;
        if marker >= 0xe0 {
            self.byte()?;
            return Some(i64::from(marker as i8));
        }
        let Some(bytes) = marker.checked_sub(0xd0).filter(|size| *size < 4) else {
            return i64::try_from(self.number()?).ok();
        };
        self.byte()?;
        Some(match bytes {
            0 => i64::from(self.integer::<1>()? as i8),
            1 => i64::from(self.integer::<2>()? as i16),
            2 => i64::from(self.integer::<4>()? as i32),
            _ => self.integer::<8>()? as i64,
        })
    }

    /// A UTF-8 string within the limit of requests, `TEXT_BYTES`.
    #[inline]
    pub(crate) fn request_text(&mut self) -> Option<&'a str> {
        let bytes = self.text_bytes().filter(|text| text.len() <= TEXT_BYTES)?;
        std::str::from_utf8(bytes).ok()
    }

    /// The head of any item; `None` if it is truncated or invalid.
    pub(crate) fn head(&mut self) -> Option<Head> {
        let head = self.byte()?;
        let short = usize::from(head & 0x0f);
        Some(match head {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => Head::Scalar(0),
            0x80..=0x8f => Head::Map(short),
            0x90..=0x9f => Head::Array(short),
            0xa0..=0xbf => Head::Text(usize::from(head & 0x1f)),
            0xc1 => return None,
            0xc4 => Head::Binary(self.size::<1>()?),
            0xc5 => Head::Binary(self.size::<2>()?),
            0xc6 => Head::Binary(self.size::<4>()?),
            // Extensions: the length is followed by a type.
            0xc7 => Head::Scalar(self.size::<1>()?.checked_add(1)?),
            0xc8 => Head::Scalar(self.size::<2>()?.checked_add(1)?),
            0xc9 => Head::Scalar(self.size::<4>()?.checked_add(1)?),
            0xcc | 0xd0 => Head::Scalar(1),
            0xcd | 0xd1 => Head::Scalar(2),
            0xca | 0xce | 0xd2 => Head::Scalar(4),
            0xcb | 0xcf | 0xd3 => Head::Scalar(8),
            0xd4..=0xd8 => Head::Scalar((1 << (head - 0xd4)) + 1),
            0xd9 => Head::Text(self.size::<1>()?),
            0xda => Head::Text(self.size::<2>()?),
            0xdb => Head::Text(self.size::<4>()?),
            0xdc => Head::Array(self.size::<2>()?),
            0xdd => Head::Array(self.size::<4>()?),
            0xde => Head::Map(self.size::<2>()?),
            0xdf => Head::Map(self.size::<4>()?),
        })
    }

    fn size<const N: usize>(&mut self) -> Option<usize> {
        usize::try_from(self.integer::<N>()?).ok()
    }

    /// The bytes of a string, not checked to be UTF-8.
    #[inline]
    pub(crate) fn text_bytes(&mut self) -> Option<&'a [u8]> {
        let length = match self.byte()? {
            short @ 0xa0..=0xbf => u64::from(short & 0x1f),
            0xd9 => self.integer::<1>()?,
            0xda => self.integer::<2>()?,
            0xdb => self.integer::<4>()?,
            _ => return None,
        };
        self.take(usize::try_from(length).ok()?)
    }

    /// The length of an array of at most 15 elements.
    #[inline]
    pub(crate) fn short_array(&mut self) -> Option<usize> {
        match self.byte()? {
            head @ 0x90..=0x9f => Some(usize::from(head & 0xf)),
            _ => None,
        }
    }

    /// A byte field.
    #[inline]
    pub(crate) fn binary(&mut self) -> Option<&'a [u8]> {
        let length = match self.byte()? {
            0xc4 => self.integer::<1>()?,
            0xc5 => self.integer::<2>()?,
            0xc6 => self.integer::<4>()?,
            _ => return None,
        };
        self.take(usize::try_from(length).ok()?)
    }

    /// What [`digest`] appends.
    #[inline]
    pub(crate) fn digest(&mut self) -> Option<Option<Blobref>> {
        match self.skip(&[NIL]) {
            Some(_) => Some(None),
            None => Blobref::from_bytes(self.binary()?).map(Some),
        }
    }
}
