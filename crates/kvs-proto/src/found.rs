//! The answer to a lookup: an array of fixed fields. It is the most frequent answer, so the common
//! case, a value found at the requested key, is also written and read by hand, byte for byte as
//! serde does it.

use crate::body::decode_body;
use crate::entry::{Entry, ValueInfo, field, rest};
use crate::error::ProtocolError;
use crate::pack::{NIL, Rest, binary, digest};
use crate::payload;
use crate::position::Position;
use bytes::{Bytes, BytesMut};
use kvs_tree::Blobref;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::fmt;

/// The head of an array of six fields.
const HEAD: u8 = 0x96;

/// Maximum bytes of the answer apart from the value.
const PARTS: usize = 1 + 9 + 9 + 5 + 34 + 2;

/// The answer to `lookup`. A missing key is not an error: `entry` is absent, and the other fields
/// say where it is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupAnswer {
    /// The position that was read. Version 0 of incarnation 0 if a bare root was read.
    pub position: Position,
    /// The entry at the key, if there is one.
    pub entry: Option<Entry>,
    /// The root that was read. Present if it was requested, or if a value was found that is not in
    /// the answer.
    pub root: Option<Blobref>,
    /// Where it was found, if not at the namespace and key of the request.
    pub place: Option<FoundAt>,
    /// The tree object as JSON, if requested.
    pub treeobj: Option<String>,
}

/// The namespace and key at which a lookup ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundAt {
    /// The namespace.
    pub namespace: SmolStr,
    /// The key.
    pub key: SmolStr,
}

impl Serialize for LookupAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let LookupAnswer {
            position,
            entry,
            root,
            place,
            treeobj,
        } = self;
        let place = place.as_ref().map(|place| (&place.namespace, &place.key));
        let Position {
            incarnation,
            version,
        } = position;
        (incarnation, version, entry, root, place, treeobj).serialize(serializer)
    }
}

struct Answers;

impl<'de> Visitor<'de> for Answers {
    type Value = LookupAnswer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<LookupAnswer, A::Error> {
        let position = Position {
            incarnation: field(&mut fields, "the incarnation")?,
            version: field(&mut fields, "the version")?,
        };
        let entry = field(&mut fields, "the entry")?;
        let root = field(&mut fields, "the root")?;
        let place: Option<(SmolStr, SmolStr)> = field(&mut fields, "the place")?;
        let treeobj = field(&mut fields, "the tree object")?;
        rest(&mut fields)?;
        Ok(LookupAnswer {
            position,
            entry,
            root,
            place: place.map(|(namespace, key)| FoundAt { namespace, key }),
            treeobj,
        })
    }
}

impl<'de> Deserialize<'de> for LookupAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LookupAnswer, D::Error> {
        deserializer.deserialize_seq(Answers)
    }
}

/// Appends the answer to a lookup that found this value at the requested key.
pub(crate) fn found(out: &mut BytesMut, value: &[u8], position: Position, root: Option<&Blobref>) {
    out.reserve(PARTS + value.len());
    out.extend_from_slice(&[HEAD]);
    position.write(out);
    binary(out, value);
    digest(out, root);
    out.extend_from_slice(&[NIL, NIL]);
}

impl LookupAnswer {
    /// Decodes the body of an answer to a lookup. Equivalent to [`decode_body`], but faster if a
    /// value was found at the requested key.
    ///
    /// # Errors
    /// `Body` if it is not a valid answer.
    pub fn decode(body: &Bytes) -> Result<LookupAnswer, ProtocolError> {
        match read_found(body) {
            Some(answer) => Ok(answer),
            None => decode_body(body),
        }
    }
}

fn read_found(body: &Bytes) -> Option<LookupAnswer> {
    let mut rest = Rest(body);
    rest.skip(&[HEAD])?;
    let position = Position::read(&mut rest)?;
    let value = rest.binary()?;
    let root = rest.digest()?;
    let place_and_object = rest.0;
    (place_and_object == [NIL, NIL]).then(|| LookupAnswer {
        position,
        entry: Some(Entry::Value(ValueInfo::whole(payload::of(body, value)))),
        root,
        place: None,
        treeobj: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{body, damaged, roots, values};
    use crate::{FRAME_BYTES, Status, write_answer, write_found};
    use proptest::prelude::*;

    fn answers() -> impl Strategy<Value = LookupAnswer> {
        (values(), any::<u64>(), any::<u64>(), roots()).prop_map(
            |(bytes, incarnation, version, root)| LookupAnswer {
                position: Position {
                    incarnation,
                    version,
                },
                entry: Some(Entry::Value(ValueInfo::whole(bytes))),
                root,
                place: None,
                treeobj: None,
            },
        )
    }

    proptest! {
        #[test]
        fn an_answer_is_written_as_serde_writes_it_and_read_again(id: u64, answer in answers()) {
            let (mut by_hand, mut by_serde) = (BytesMut::new(), BytesMut::new());
            let Some(Entry::Value(ValueInfo { bytes: Some(value), .. })) = &answer.entry else {
                unreachable!()
            };
            let LookupAnswer { position, root, .. } = &answer;
            write_found(&mut by_hand, FRAME_BYTES, id, value, *position, root.as_ref()).unwrap();
            write_answer(&mut by_serde, FRAME_BYTES, id, Status::Final, &answer).unwrap();
            prop_assert_eq!(&by_hand, &by_serde);
            let body = body(by_hand);
            prop_assert_eq!(read_found(&body), Some(answer.clone()));
            prop_assert_eq!(decode_body::<LookupAnswer>(&body).unwrap(), answer);
        }

        #[test]
        fn what_is_damaged_is_left_to_serde_or_read_alike(
            answer in answers(),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let damaged = damaged(&answer, at, byte);
            if let Some(read) = read_found(&damaged) {
                prop_assert_eq!(read, decode_body::<LookupAnswer>(&damaged).unwrap());
            }
        }
    }

    #[test]
    fn what_else_an_answer_may_tell_comes_out_as_it_went_in() {
        let entries = [
            None,
            Some(Entry::Value(ValueInfo::of_size(7, None))),
            Some(Entry::Value(ValueInfo::of_size(
                7,
                Some(format!("sha1-{}", "ab".repeat(20)).into()),
            ))),
            Some(Entry::Directory(crate::DirectoryInfo::new(3, 200, 70_000))),
            Some(Entry::Link(crate::Link {
                target: "a.b".into(),
                namespace: Some("jobs".into()),
            })),
        ];
        for entry in entries {
            let answer = LookupAnswer {
                position: Position {
                    incarnation: u64::MAX,
                    version: 300,
                },
                entry,
                root: None,
                place: Some(FoundAt {
                    namespace: "jobs".into(),
                    key: "a.b".into(),
                }),
                treeobj: Some("{}".to_owned()),
            };
            let body = Bytes::from(rmp_serde::to_vec_named(&answer).unwrap());
            assert_eq!(LookupAnswer::decode(&body), Ok(answer));
        }
    }

    #[test]
    fn fields_of_a_later_daemon_are_left_behind_and_missing_ones_are_named() {
        let later = Bytes::from_static(b"\x97\x01\x02\xc4\x01v\xc0\xc0\xc0\xa5later");
        let answer = LookupAnswer::decode(&later).unwrap();
        assert_eq!(answer.position.version, 2);
        let short = Bytes::from_static(b"\x93\x01\x02\xc0");
        let error = LookupAnswer::decode(&short).unwrap_err().to_string();
        assert!(error.ends_with("the root is missing"), "{error}");
    }
}
