//! Scans MessagePack in place: reads the requested values, skips the others, and builds nothing.

/// The bytes that are not scanned yet. Each method returns `None` if they end too early or have
/// another type.
pub(crate) struct Tokens<'a>(&'a [u8]);

impl<'a> Tokens<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    /// A big-endian number of `len` bytes, at most 8.
    fn number(&mut self, len: usize) -> Option<u64> {
        let bytes = self.bytes(len)?.iter();
        Some(bytes.fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn length(&mut self, len: usize) -> Option<usize> {
        usize::try_from(self.number(len)?).ok()
    }

    /// Length of the array that begins here.
    pub(crate) fn array(&mut self) -> Option<usize> {
        match self.byte()? {
            byte @ 0x90..=0x9f => Some(usize::from(byte & 15)),
            0xdc => self.length(2),
            0xdd => self.length(4),
            _ => None,
        }
    }

    /// Checks that an array of length `len` begins here.
    pub(crate) fn array_of(&mut self, len: usize) -> Option<()> {
        (self.array()? == len).then_some(())
    }

    /// Name of the variant that begins here; its content follows.
    pub(crate) fn variant(&mut self) -> Option<&'a [u8]> {
        match self.byte()? {
            0x81 => self.text(),
            _ => None,
        }
    }

    /// The bytes of a string.
    pub(crate) fn text(&mut self) -> Option<&'a [u8]> {
        let len = match self.byte()? {
            byte @ 0xa0..=0xbf => usize::from(byte & 31),
            0xd9 => self.length(1)?,
            0xda => self.length(2)?,
            0xdb => self.length(4)?,
            _ => return None,
        };
        self.bytes(len)
    }

    pub(crate) fn uint(&mut self) -> Option<u64> {
        match self.byte()? {
            byte @ 0..=0x7f => Some(u64::from(byte)),
            0xcc => self.number(1),
            0xcd => self.number(2),
            0xce => self.number(4),
            0xcf => self.number(8),
            _ => None,
        }
    }

    pub(crate) fn bool(&mut self) -> Option<bool> {
        match self.byte()? {
            0xc2 => Some(false),
            0xc3 => Some(true),
            _ => None,
        }
    }

    /// Skips `values` values of any type.
    pub(crate) fn skip(&mut self, values: usize) -> Option<()> {
        let mut left = values;
        while let Some(others) = left.checked_sub(1) {
            left = others;
            let (bytes, inside) = match self.byte()? {
                0..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => continue,
                byte @ 0x80..=0x8f => (0, 2 * usize::from(byte & 15)),
                byte @ 0x90..=0x9f => (0, usize::from(byte & 15)),
                byte @ 0xa0..=0xbf => (usize::from(byte & 31), 0),
                0xc1 => return None,
                0xc4 | 0xd9 => (self.length(1)?, 0),
                0xc5 | 0xda => (self.length(2)?, 0),
                0xc6 | 0xdb => (self.length(4)?, 0),
                0xc7 => (self.length(1)?.checked_add(1)?, 0),
                0xc8 => (self.length(2)?.checked_add(1)?, 0),
                0xc9 => (self.length(4)?.checked_add(1)?, 0),
                0xcc | 0xd0 => (1, 0),
                0xcd | 0xd1 | 0xd4 => (2, 0),
                0xd5 => (3, 0),
                0xca | 0xce | 0xd2 => (4, 0),
                0xd6 => (5, 0),
                0xcb | 0xcf | 0xd3 => (8, 0),
                0xd7 => (9, 0),
                0xd8 => (17, 0),
                0xdc => (0, self.length(2)?),
                0xdd => (0, self.length(4)?),
                0xde => (0, self.length(2)?.checked_mul(2)?),
                0xdf => (0, self.length(4)?.checked_mul(2)?),
            };
            self.bytes(bytes)?;
            left = left.checked_add(inside)?;
        }
        Some(())
    }

    /// Whether everything was scanned.
    pub(crate) fn is_done(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn numbers_texts_and_lengths_of_every_size_are_read() {
        for number in [0, 127, 128, 255, 256, 65_535, 65_536, 1 << 32, u64::MAX] {
            let bytes = rmp_serde::to_vec(&number).unwrap();
            assert_eq!(Tokens::new(&bytes).uint(), Some(number));
        }
        for len in [0, 31, 32, 255, 256, 65_535, 65_536] {
            let text = "x".repeat(len);
            let bytes = rmp_serde::to_vec(&text).unwrap();
            assert_eq!(Tokens::new(&bytes).text(), Some(text.as_bytes()));
            let bytes = rmp_serde::to_vec(&vec![true; len]).unwrap();
            let mut tokens = Tokens::new(&bytes);
            assert_eq!(tokens.array(), Some(len));
            for _ in 0..len {
                assert_eq!(tokens.bool(), Some(true));
            }
            assert!(tokens.is_done());
        }
    }

    type Values = (
        (Option<bool>, u64, i64, f64, f32),
        (String, Vec<Vec<u16>>, BTreeMap<i32, String>),
        Result<(u8, char), Vec<i8>>,
    );

    proptest! {
        #[test]
        fn values_are_stepped_over_whole_and_never_beyond_their_end(values: Values, cut: prop::sample::Index) {
            let bytes = rmp_serde::to_vec(&values).unwrap();
            let mut tokens = Tokens::new(&bytes);
            prop_assert_eq!(tokens.skip(1), Some(()));
            prop_assert!(tokens.is_done());
            prop_assert_eq!(Tokens::new(&bytes[..cut.index(bytes.len())]).skip(1), None);
        }

        #[test]
        fn random_bytes_are_stepped_over_as_the_decoder_does(bytes: Vec<u8>) {
            let mut tokens = Tokens::new(&bytes);
            let mut decoder = rmp_serde::Deserializer::from_read_ref(&bytes[..]);
            let decoded = <IgnoredAny as serde::Deserialize>::deserialize(&mut decoder);
            if decoded.is_ok() {
                prop_assert_eq!(tokens.skip(1), Some(()));
            }
        }
    }
}
