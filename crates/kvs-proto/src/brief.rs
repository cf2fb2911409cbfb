//! Lookups of the current state by hand: they are the most frequent requests, and serde takes
//! several times as long.
//!
//! The writer produces byte for byte what serde writes. The reader accepts only the usual form; for
//! anything else (another order, unknown fields, damage) it returns `None` and serde decides.

use crate::pack::{Rest, number, text};
use crate::read::Lookup;
use bytes::BytesMut;

const NAMESPACE: &[u8] = b"\xa9namespace";
const KEY: &[u8] = b"\xa3key";
const ROOT: &[u8] = b"\xa4root\xc3";
const INLINE_MAX: &[u8] = b"\xaainline_max";

/// Maximum bytes of a request apart from strings.
const FRAME_PARTS: usize = 96;

/// A lookup of the current state without a tree object, borrowed from the request's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BriefLookup<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The key.
    pub key: &'a str,
    /// Whether a link at the key itself is followed.
    pub follow: bool,
    /// Whether the answer carries the root that was read.
    pub root: bool,
    /// Values longer than this many bytes are not sent inline.
    pub inline_max: Option<u64>,
}

impl<'a> BriefLookup<'a> {
    /// Reads the body of a lookup; `None` if it does not have the usual form.
    pub fn read(body: &'a [u8]) -> Option<Self> {
        let mut rest = Rest(body);
        let fields = rest.byte()?.checked_sub(0x80)?;
        let mut lookup = BriefLookup {
            namespace: rest.skip(NAMESPACE)?.request_text()?,
            key: rest.skip(KEY)?.request_text()?,
            follow: true,
            root: false,
            inline_max: None,
        };
        let mut read = 2;
        if rest.skip(b"\xa6follow").is_some() {
            lookup.follow = match rest.byte()? {
                0xc2 => false,
                0xc3 => true,
                _ => return None,
            };
            read += 1;
        }
        if rest.skip(ROOT).is_some() {
            lookup.root = true;
            read += 1;
        }
        if rest.skip(INLINE_MAX).is_some() {
            lookup.inline_max = Some(rest.number()?);
            read += 1;
        }
        (fields == read && rest.0.is_empty()).then_some(lookup)
    }
}

/// Appends the body of a lookup if it has the form that [`BriefLookup`] reads; returns whether it
/// has.
pub(crate) fn asked(out: &mut BytesMut, lookup: &Lookup) -> bool {
    if !lookup.at.is_current() || lookup.treeobj {
        return false;
    }
    let fields = 3 + u8::from(lookup.root) + u8::from(lookup.inline_max.is_some());
    out.reserve(FRAME_PARTS + lookup.namespace.len() + lookup.key.len());
    out.extend_from_slice(&[0x80 | fields]);
    out.extend_from_slice(NAMESPACE);
    text(out, &lookup.namespace);
    out.extend_from_slice(KEY);
    text(out, &lookup.key);
    out.extend_from_slice(if lookup.follow {
        b"\xa6follow\xc3"
    } else {
        b"\xa6follow\xc2"
    });
    if lookup.root {
        out.extend_from_slice(ROOT);
    }
    if let Some(most) = lookup.inline_max {
        out.extend_from_slice(INLINE_MAX);
        number(out, most);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{body, request_texts};
    use crate::{At, FRAME_BYTES, FrameCodec, Op, Request, Status, write_answer, write_request};
    use bytes::Bytes;
    use proptest::prelude::*;

    fn numbers() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            (0..64_u32).prop_map(|bits| 1 << bits),
            (0..64_u32).prop_map(|bits| (1 << bits) - 1),
            0..300_u64,
        ]
    }

    proptest! {
        #[test]
        fn an_ordinary_lookup_is_written_as_serde_writes_it_and_read_again(
            namespace in request_texts(),
            key in request_texts(),
            follow: bool,
            root: bool,
            inline_max in proptest::option::of(numbers()),
        ) {
            let lookup = Lookup {
                namespace: namespace.clone(),
                key: key.clone(),
                at: At::Current,
                follow,
                treeobj: false,
                root,
                inline_max,
            };
            let by_serde = rmp_serde::to_vec_named(&lookup).unwrap();
            let mut out = BytesMut::new();
            write_request(&mut out, FRAME_BYTES, 1, &lookup.into()).unwrap();
            let read = BriefLookup { namespace: &namespace, key: &key, follow, root, inline_max };
            let body = body(out);
            prop_assert_eq!(&body[..], &by_serde[..]);
            prop_assert_eq!(BriefLookup::read(&body), Some(read));
        }

        #[test]
        fn what_is_damaged_is_left_to_serde_or_read_alike(
            namespace in request_texts(),
            key in request_texts(),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let lookup = Lookup {
                namespace,
                key,
                at: At::Current,
                follow: true,
                treeobj: false,
                root: true,
                inline_max: Some(1000),
            };
            let mut out = BytesMut::new();
            write_request(&mut out, FRAME_BYTES, 1, &lookup.into()).unwrap();
            let mut damaged = body(out).to_vec();
            let place = at.index(damaged.len());
            damaged[place] = byte;
            let damaged = Bytes::from(damaged);
            if let Some(read) = BriefLookup::read(&damaged) {
                let Ok(Request::Lookup(lookup)) = Request::decode(Op::Lookup, &damaged) else {
                    return Err(TestCaseError::fail("serde refuses it"));
                };
                prop_assert_eq!((read.namespace, read.key), (&*lookup.namespace, &*lookup.key));
                prop_assert_eq!(read.inline_max, lookup.inline_max);
            }
        }
    }

    #[test]
    fn whatever_else_a_lookup_may_ask_for_is_left_to_serde() {
        let ordinary = Lookup {
            namespace: "primary".into(),
            key: "a".into(),
            at: At::Current,
            follow: true,
            treeobj: false,
            root: false,
            inline_max: None,
        };
        let others = [
            Lookup {
                at: At::Version(1),
                ..ordinary.clone()
            },
            Lookup {
                treeobj: true,
                ..ordinary
            },
        ];
        for lookup in others {
            let by_serde = rmp_serde::to_vec_named(&lookup).unwrap();
            let mut out = BytesMut::new();
            write_request(&mut out, FRAME_BYTES, 1, &lookup.into()).unwrap();
            let body = body(out);
            assert_eq!(body, by_serde);
            assert_eq!(BriefLookup::read(&body), None);
        }
        let without_follow = b"\x82\xa9namespace\xa1n\xa3key\xa1k";
        assert!(BriefLookup::read(without_follow).is_some_and(|lookup| lookup.follow));
        assert_eq!(BriefLookup::read(b""), None);
    }

    #[test]
    fn a_frame_that_is_not_whole_or_too_long_is_not_peeked_at() {
        let mut out = BytesMut::new();
        write_answer(&mut out, FRAME_BYTES, 1, Status::Final, &crate::Empty {}).unwrap();
        assert!(FrameCodec::default().peek(&out).is_some());
        assert_eq!(FrameCodec::default().peek(&out[..out.len() - 1]), None);
        assert_eq!(FrameCodec::new(2).peek(&out), None);
    }
}
