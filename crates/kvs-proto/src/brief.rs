//! Lookups of small values by hand: of these requests and answers there are more than of all others
//! together, and serde's way takes several times as long.
//!
//! What is written here is byte for byte what serde writes. What is read here is the ordinary
//! alone; of anything else (another order, unknown fields, damage) the reader says `None`, and
//! serde has the word.

use crate::body::decode_body;
use crate::error::ProtocolError;
use crate::limits::SHARED_TEXT_BYTES;
use crate::pack::{Rest, binary, number, text};
use crate::payload;
use crate::position::Position;
use crate::read::{Entry, Lookup, LookupAnswer, ValueInfo};
use bytes::{Bytes, BytesMut};
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
const INLINE_MAX: &[u8] = b"\xaainline_max";

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
            namespace: rest.skip(NAMESPACE)?.request_text()?,
            key: rest.skip(KEY)?.request_text()?,
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
        if rest.skip(INLINE_MAX).is_some() {
            lookup.inline_max = Some(rest.number()?);
            read += 1;
        }
        (fields == read && rest.0.is_empty()).then_some(lookup)
    }
}

/// Appends the body of a lookup, if it is one that [`BriefLookup`] reads; whether it was.
pub(crate) fn asked(out: &mut BytesMut, lookup: &Lookup) -> bool {
    if !lookup.at.is_current() || lookup.treeobj {
        return false;
    }
    let fields = 3 + u8::from(lookup.inline_max.is_some());
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
    if let Some(most) = lookup.inline_max {
        out.extend_from_slice(INLINE_MAX);
        number(out, most);
    }
    true
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
        let mut middle = BytesMut::from(NAMESPACE);
        text(&mut middle, namespace);
        middle.extend_from_slice(KEY);
        Ok(ReadState {
            middle: middle.into(),
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
            out.extend_from_slice(&head);
            out.extend_from_slice(value);
        }
        length => {
            out.extend_from_slice(SIZE);
            number(out, length as u64);
            out.extend_from_slice(BYTES);
            binary(out, value);
        }
    }
    out.extend_from_slice(&state.middle);
    text(out, key);
    out.extend_from_slice(&state.end);
}

impl LookupAnswer {
    /// Decodes the body of an answer to a lookup: as [`decode_body`], but sooner where a value was
    /// found.
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

/// The state that was read, as an answer tells it: its namespace, and what stands behind the key.
struct End {
    namespace: SmolStr,
    bytes: Vec<u8>,
    position: Position,
    root: SmolStr,
    snapshot: SmolStr,
}

thread_local! {
    /// The end that was read last: answers in a row tell of one state mostly, and then share its
    /// texts.
    static LAST: RefCell<Option<End>> = const { RefCell::new(None) };
}

impl End {
    fn read(namespace: &[u8], bytes: &[u8]) -> Option<End> {
        let mut rest = Rest(bytes);
        let position = Position {
            incarnation: rest.skip(INCARNATION)?.number()?,
            version: rest.skip(VERSION)?.number()?,
        };
        let (root, snapshot) = (rest.skip(ROOT)?.text()?, rest.skip(SNAPSHOT)?.text()?);
        let namespace = std::str::from_utf8(namespace).ok()?.into();
        rest.0.is_empty().then(|| End {
            namespace,
            bytes: bytes.to_vec(),
            position,
            root: root.into(),
            snapshot: snapshot.into(),
        })
    }

    fn is(&self, namespace: &[u8], bytes: &[u8]) -> bool {
        self.bytes == bytes && self.namespace.as_bytes() == namespace
    }

    fn told(&self) -> (SmolStr, Position, SmolStr, SmolStr) {
        let Self { root, snapshot, .. } = self;
        let namespace = self.namespace.clone();
        (namespace, self.position, root.clone(), snapshot.clone())
    }
}

fn read_found(body: &Bytes) -> Option<LookupAnswer> {
    let mut rest = Rest(body);
    let size = rest.skip(SIZE)?.number()?;
    let value = rest.skip(BYTES)?.binary()?;
    let namespace = rest.skip(NAMESPACE)?.text_bytes()?;
    let key = SmolStr::new(rest.skip(KEY)?.text()?);
    let (namespace, position, root, snapshot) = LAST.with_borrow_mut(|last| {
        if let Some(last) = last.as_ref().filter(|last| last.is(namespace, rest.0)) {
            return Some(last.told());
        }
        let end = End::read(namespace, rest.0)?;
        let told = end.told();
        let bytes = end.namespace.len() + end.bytes.len();
        *last = (bytes <= SHARED_TEXT_BYTES).then_some(end);
        Some(told)
    })?;
    Some(LookupAnswer {
        entry: Some(Entry::Value(ValueInfo {
            size,
            bytes: Some(payload::of(body, value)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{body, request_texts, texts, values};
    use crate::{
        At, FRAME_BYTES, FrameCodec, Lookup, Op, Request, Status, decode_body, write_answer,
        write_found, write_request,
    };
    use proptest::prelude::*;

    fn numbers() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            (0..64_u32).prop_map(|bits| 1 << bits),
            (0..64_u32).prop_map(|bits| (1 << bits) - 1),
            0..300_u64,
        ]
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
        fn an_ordinary_lookup_is_written_as_serde_writes_it_and_read_again(
            namespace in request_texts(),
            key in request_texts(),
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
            let by_serde = rmp_serde::to_vec_named(&lookup).unwrap();
            let mut out = BytesMut::new();
            write_request(&mut out, FRAME_BYTES, 1, &lookup.into()).unwrap();
            let read = BriefLookup { namespace: &namespace, key: &key, follow, inline_max };
            let body = body(out);
            prop_assert_eq!(&body[..], &by_serde[..]);
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
