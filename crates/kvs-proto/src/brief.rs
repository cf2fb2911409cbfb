//! Lookups of small values by hand: of these requests and answers there are more than of all others together, and
//! serde's way takes several times as long.
//!
//! What is written here is byte for byte what serde writes. What is read here is the ordinary alone; of anything else
//! (another order, unknown fields, damage) the reader says `None`, and serde has the word.

use crate::body::decode_body;
use crate::error::ProtocolError;
use crate::limits::SHARED_TEXT_BYTES;
use crate::payload;
use crate::position::Position;
use crate::read::{Entry, LookupAnswer, ValueInfo};
use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use smol_str::SmolStr;
use std::cell::RefCell;

/// What stands before the parts of an answer that tells of a value.
const SIZE: &[u8] = b"\x86\xa5entry\x81\xa5value\x82\xa4size";
const BYTES: &[u8] = b"\xa5bytes";
const NAMESPACE: &[u8] = b"\xa9namespace";
const KEY: &[u8] = b"\xa3key";
const INCARNATION: &[u8] = b"\xa8position\x82\xabincarnation";
const VERSION: &[u8] = b"\xa7version";
const ROOT: &[u8] = b"\xa4root";
const SNAPSHOT: &[u8] = b"\xa8snapshot";

/// Most bytes of an answer beside texts and value.
const FRAME_PARTS: usize = 96;

/// A lookup of the newest state that wants no tree object, read where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BriefLookup<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The key.
    pub key: &'a str,
    /// Whether a link at the key itself is followed.
    pub follow: bool,
    /// Values longer than this many bytes are not wanted inline.
    pub inline_max: Option<u64>,
}

impl<'a> BriefLookup<'a> {
    /// Reads the body of a lookup.
    pub fn read(body: &'a [u8]) -> Option<Self> {
        let mut rest = Rest(body);
        let fields = rest.byte()?.checked_sub(0x80)?;
        let mut lookup = BriefLookup {
            namespace: rest.skip(NAMESPACE)?.text()?,
            key: rest.skip(KEY)?.text()?,
            follow: true,
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
        if rest.skip(b"\xaainline_max").is_some() {
            lookup.inline_max = Some(rest.number()?);
            read += 1;
        }
        (fields == read && rest.0.is_empty()).then_some(lookup)
    }
}

/// Which state was read, as answers tell it: made once for a state, and copied into each answer.
#[derive(Debug, Clone)]
pub struct ReadState {
    /// What stands between a value and its key.
    middle: Vec<u8>,
    /// What stands behind the key.
    end: Vec<u8>,
}

impl ReadState {
    /// The same for all answers from that state.
    ///
    /// # Errors
    /// None that are known of.
    pub fn new(
        namespace: &str,
        position: Position,
        root: &str,
        snapshot: &str,
    ) -> Result<ReadState, ProtocolError> {
        #[derive(Serialize)]
        struct End<'a> {
            position: Position,
            root: &'a str,
            snapshot: &'a str,
        }
        let end = End {
            position,
            root,
            snapshot,
        };
        let end = rmp_serde::to_vec_named(&end).map_err(|error| ProtocolError::Body {
            what: "answer",
            reason: error.to_string(),
        })?;
        let mut middle = NAMESPACE.to_vec();
        text(&mut middle, namespace);
        middle.put_slice(KEY);
        Ok(ReadState {
            middle,
            // Without the head of the map, which is that of the whole answer.
            end: end.get(1..).unwrap_or_default().to_vec(),
        })
    }
}

/// Appends the body of the answer to a lookup that found this value.
pub(crate) fn found(out: &mut BytesMut, value: &[u8], key: &str, state: &ReadState) {
    out.reserve(FRAME_PARTS + value.len() + state.middle.len() + key.len() + state.end.len());
    match value.len() {
        length @ 0..=0x7f => {
            // At once what would be the same in four steps.
            let mut head = *b"\x86\xa5entry\x81\xa5value\x82\xa4size\0\xa5bytes\xc4\0";
            head[20] = length as u8;
            head[28] = length as u8;
            out.put_slice(&head);
        }
        length => {
            out.put_slice(SIZE);
            number(out, length as u64);
            out.put_slice(BYTES);
            match length {
                0..=0xff => out.put_slice(&[0xc4, length as u8]),
                0x100..=0xffff => {
                    out.put_u8(0xc5);
                    out.put_u16(length as u16);
                }
                _ => {
                    out.put_u8(0xc6);
                    out.put_u32(length as u32);
                }
            }
        }
    }
    out.put_slice(value);
    out.put_slice(&state.middle);
    text(out, key);
    out.put_slice(&state.end);
}

fn number(out: &mut BytesMut, number: u64) {
    match number {
        0..=0x7f => out.put_u8(number as u8),
        0x80..=0xff => out.put_slice(&[0xcc, number as u8]),
        0x100..=0xffff => {
            out.put_u8(0xcd);
            out.put_u16(number as u16);
        }
        0x1_0000..=0xffff_ffff => {
            out.put_u8(0xce);
            out.put_u32(number as u32);
        }
        _ => {
            out.put_u8(0xcf);
            out.put_u64(number);
        }
    }
}

fn text(out: &mut impl BufMut, text: &str) {
    match text.len() {
        length @ 0..=0x1f => out.put_u8(0xa0 | length as u8),
        length @ 0x20..=0xff => out.put_slice(&[0xd9, length as u8]),
        length @ 0x100..=0xffff => {
            out.put_u8(0xda);
            out.put_u16(length as u16);
        }
        length => {
            out.put_u8(0xdb);
            out.put_u32(length as u32);
        }
    }
    out.put_slice(text.as_bytes());
}

impl LookupAnswer {
    /// Decodes the body of an answer to a lookup: as [`decode_body`], but sooner where a value was found.
    ///
    /// # Errors
    /// `Body` if it is none.
    pub fn decode(body: &Bytes) -> Result<LookupAnswer, ProtocolError> {
        match read_found(body) {
            Some(answer) => Ok(answer),
            None => decode_body(body),
        }
    }
}

thread_local! {
    /// Root and snapshot that were read last: answers in a row tell of one state mostly, and then share its texts.
    static LAST: RefCell<[SmolStr; 2]> = const { RefCell::new([SmolStr::new_static(""), SmolStr::new_static("")]) };
}

/// A text, which is that of `last` if it is the same.
fn again(last: &mut SmolStr, text: &[u8]) -> Option<SmolStr> {
    if last.as_bytes() == text {
        return Some(last.clone());
    }
    let new = SmolStr::new(std::str::from_utf8(text).ok()?);
    if text.len() <= SHARED_TEXT_BYTES {
        *last = new.clone();
    }
    Some(new)
}

fn read_found(body: &Bytes) -> Option<LookupAnswer> {
    let mut rest = Rest(body);
    let size = rest.skip(SIZE)?.number()?;
    let bytes = payload::of(body, rest.skip(BYTES)?.binary()?);
    let namespace = SmolStr::new(rest.skip(NAMESPACE)?.text()?);
    let key = SmolStr::new(rest.skip(KEY)?.text()?);
    let position = Position {
        incarnation: rest.skip(INCARNATION)?.number()?,
        version: rest.skip(VERSION)?.number()?,
    };
    let (root, snapshot) = (
        rest.skip(ROOT)?.text_bytes()?,
        rest.skip(SNAPSHOT)?.text_bytes()?,
    );
    let (root, snapshot) = LAST.with_borrow_mut(|[last_root, last_snapshot]| {
        Some((again(last_root, root)?, again(last_snapshot, snapshot)?))
    })?;
    rest.0.is_empty().then(|| LookupAnswer {
        entry: Some(Entry::Value(ValueInfo {
            size,
            bytes: Some(bytes),
            blobref: None,
        })),
        namespace,
        key,
        position,
        root,
        snapshot,
        treeobj: None,
    })
}

/// What is left to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// Leaves these bytes behind, if they come next.
    #[inline]
    fn skip(&mut self, bytes: &[u8]) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(bytes)?;
        Some(self)
    }

    #[inline]
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    #[inline]
    fn byte(&mut self) -> Option<u8> {
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

    #[inline]
    fn number(&mut self) -> Option<u64> {
        match self.byte()? {
            small @ 0..=0x7f => Some(small.into()),
            0xcc => self.integer::<1>(),
            0xcd => self.integer::<2>(),
            0xce => self.integer::<4>(),
            0xcf => self.integer::<8>(),
            _ => None,
        }
    }

    #[inline]
    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.text_bytes()?).ok()
    }

    #[inline]
    fn text_bytes(&mut self) -> Option<&'a [u8]> {
        let length = match self.byte()? {
            short @ 0xa0..=0xbf => u64::from(short & 0x1f),
            0xd9 => self.integer::<1>()?,
            0xda => self.integer::<2>()?,
            0xdb => self.integer::<4>()?,
            _ => return None,
        };
        self.take(usize::try_from(length).ok()?)
    }

    #[inline]
    fn binary(&mut self) -> Option<&'a [u8]> {
        let length = match self.byte()? {
            0xc4 => self.integer::<1>()?,
            0xc5 => self.integer::<2>()?,
            0xc6 => self.integer::<4>()?,
            _ => return None,
        };
        self.take(usize::try_from(length).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        At, FRAME_BYTES, FrameCodec, Lookup, Op, Request, Status, decode_body, write_answer,
        write_found, write_request,
    };
    use proptest::prelude::*;
    use tokio_util::codec::Decoder;

    fn numbers() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            (0..64_u32).prop_map(|bits| 1 << bits),
            (0..64_u32).prop_map(|bits| (1 << bits) - 1),
            0..300_u64,
        ]
    }

    fn texts() -> impl Strategy<Value = SmolStr> {
        prop_oneof!["[a-zä.]{0,40}", "[a-z]{200,300}", Just("x".repeat(70_000))]
            .prop_map(SmolStr::from)
    }

    fn values() -> impl Strategy<Value = Bytes> {
        prop_oneof![0..300_usize, 4000..5000_usize, 65_530..65_540_usize]
            .prop_map(|length| Bytes::from(vec![b'x'; length]))
    }

    fn answers() -> impl Strategy<Value = LookupAnswer> {
        (
            values(),
            texts(),
            texts(),
            numbers(),
            numbers(),
            texts(),
            texts(),
        )
            .prop_map(
                |(bytes, namespace, key, incarnation, version, root, snapshot)| LookupAnswer {
                    entry: Some(Entry::Value(ValueInfo {
                        size: bytes.len() as u64,
                        bytes: Some(bytes),
                        blobref: None,
                    })),
                    namespace,
                    key,
                    position: Position {
                        incarnation,
                        version,
                    },
                    root,
                    snapshot,
                    treeobj: None,
                },
            )
    }

    /// The body of the only frame.
    fn body(mut frames: BytesMut) -> Bytes {
        let peeked = FrameCodec::default().peek(&frames).unwrap();
        let (id, tag, body) = (peeked.id, peeked.tag, peeked.body.to_vec());
        assert_eq!(peeked.bytes, frames.len());
        let frame = FrameCodec::default().decode(&mut frames).unwrap().unwrap();
        assert_eq!((frame.id, frame.tag, &frame.body[..]), (id, tag, &body[..]));
        frame.body
    }

    proptest! {
        #[test]
        fn an_answer_is_written_as_serde_writes_it_and_read_again(id in numbers(), answer in answers()) {
            let (mut by_hand, mut by_serde) = (BytesMut::new(), BytesMut::new());
            let Some(Entry::Value(ValueInfo { bytes: Some(value), .. })) = &answer.entry else {
                unreachable!()
            };
            let LookupAnswer { namespace, position, root, snapshot, .. } = &answer;
            let state = ReadState::new(namespace, *position, root, snapshot).unwrap();
            write_found(&mut by_hand, FRAME_BYTES, id, value, &answer.key, &state).unwrap();
            write_answer(&mut by_serde, FRAME_BYTES, id, Status::Final, &answer).unwrap();
            prop_assert_eq!(&by_hand, &by_serde);
            prop_assert_eq!(read_found(&body(by_hand)), Some(answer));
        }

        #[test]
        fn an_ordinary_lookup_is_read_as_serde_reads_it(
            namespace in texts(),
            key in texts(),
            follow: bool,
            inline_max in proptest::option::of(numbers()),
        ) {
            let lookup = Lookup {
                namespace: namespace.clone(),
                key: key.clone(),
                at: At::Current,
                follow,
                treeobj: false,
                inline_max,
            };
            let mut out = BytesMut::new();
            write_request(&mut out, FRAME_BYTES, 1, &lookup.into()).unwrap();
            let read = BriefLookup { namespace: &namespace, key: &key, follow, inline_max };
            let body = body(out);
            prop_assert_eq!(BriefLookup::read(&body), Some(read));
        }

        #[test]
        fn what_is_damaged_is_left_to_serde_or_read_alike(
            answer in answers(),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let lookup = Lookup {
                namespace: answer.namespace.clone(),
                key: answer.key.clone(),
                at: At::Current,
                follow: true,
                treeobj: false,
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
            let mut damaged = rmp_serde::to_vec_named(&answer).unwrap();
            let place = at.index(damaged.len());
            damaged[place] = byte;
            let damaged = Bytes::from(damaged);
            if let Some(read) = read_found(&damaged) {
                prop_assert_eq!(read, decode_body::<LookupAnswer>(&damaged).unwrap());
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
            let mut out = BytesMut::new();
            write_request(&mut out, FRAME_BYTES, 1, &lookup.into()).unwrap();
            assert_eq!(BriefLookup::read(&body(out)), None);
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
