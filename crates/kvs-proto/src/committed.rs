//! The answer to a commit: an array of fixed fields. With few results it is written and read by
//! hand, byte for byte as serde does it.

use crate::body::decode_body;
use crate::entry::{field, rest};
use crate::error::ProtocolError;
use crate::pack::{NIL, Rest, array, digest, signed};
use crate::position::Position;
use bytes::{Bytes, BytesMut};
use kvs_tree::{Blobref, OperationResult};
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The head of an array of four fields.
const HEAD: u8 = 0x94;

/// Maximum bytes of the answer apart from its results, and of each result.
const PARTS: usize = 1 + 9 + 9 + 5 + 34;
const RESULT_PARTS: usize = 9;

/// The answer to a commit. When it arrives, the commit is as durable as the daemon's mode promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitAnswer {
    /// The version that contains the transaction.
    pub position: Position,
    /// One result for each operation, in order.
    pub results: Vec<OperationResult>,
    /// The root of that version, if requested.
    pub root: Option<Blobref>,
}

/// The wire form of a result: nil, or the sum of an add.
fn told(result: &OperationResult) -> Option<i64> {
    match result {
        OperationResult::Done => None,
        OperationResult::Added(sum) => Some(*sum),
    }
}

fn meant(result: Option<i64>) -> OperationResult {
    result.map_or(OperationResult::Done, OperationResult::Added)
}

impl Serialize for CommitAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Position {
            incarnation,
            version,
        } = self.position;
        let results: Vec<_> = self.results.iter().map(told).collect();
        (incarnation, version, results, self.root).serialize(serializer)
    }
}

struct Answers;

impl<'de> Visitor<'de> for Answers {
    type Value = CommitAnswer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<CommitAnswer, A::Error> {
        let position = Position {
            incarnation: field(&mut fields, "the incarnation")?,
            version: field(&mut fields, "the version")?,
        };
        let results: Vec<Option<i64>> = field(&mut fields, "the array of results")?;
        let root = field(&mut fields, "the root")?;
        rest(&mut fields)?;
        Ok(CommitAnswer {
            position,
            results: results.into_iter().map(meant).collect(),
            root,
        })
    }
}

impl<'de> Deserialize<'de> for CommitAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<CommitAnswer, D::Error> {
        deserializer.deserialize_seq(Answers)
    }
}

/// Appends the body of the answer to a commit.
pub(crate) fn committed(
    out: &mut BytesMut,
    position: Position,
    results: &[OperationResult],
    root: Option<&Blobref>,
) {
    out.reserve(PARTS + RESULT_PARTS * results.len());
    out.extend_from_slice(&[HEAD]);
    position.write(out);
    array(out, results.len());
    for result in results {
        match result {
            OperationResult::Done => out.extend_from_slice(&[NIL]),
            OperationResult::Added(sum) => signed(out, *sum),
        }
    }
    digest(out, root);
}

impl CommitAnswer {
    /// Decodes the body of an answer to a commit. Equivalent to [`decode_body`], but faster with
    /// few results.
    ///
    /// # Errors
    /// `Body` if it is not a valid answer.
    pub fn decode(body: &Bytes) -> Result<CommitAnswer, ProtocolError> {
        match read_committed(body) {
            Some(answer) => Ok(answer),
            None => decode_body(body),
        }
    }
}

fn read_committed(body: &[u8]) -> Option<CommitAnswer> {
    let mut rest = Rest(body);
    rest.skip(&[HEAD])?;
    let position = Position::read(&mut rest)?;
    let count = rest.short_array()?;
    let mut results = Vec::with_capacity(count);
    for _ in 0..count {
        results.push(match rest.skip(&[NIL]) {
            Some(_) => OperationResult::Done,
            None => OperationResult::Added(rest.signed()?),
        });
    }
    let root = rest.digest()?;
    rest.0.is_empty().then_some(CommitAnswer {
        position,
        results,
        root,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{body, damaged, roots};
    use crate::{FRAME_BYTES, Status, write_answer, write_committed};
    use proptest::prelude::*;

    fn answers() -> impl Strategy<Value = CommitAnswer> {
        let result = prop_oneof![
            Just(OperationResult::Done),
            any::<i64>().prop_map(OperationResult::Added),
            (-300..300_i64).prop_map(OperationResult::Added),
        ];
        let results = proptest::collection::vec(result, 0..20);
        (any::<u64>(), any::<u64>(), results, roots()).prop_map(
            |(incarnation, version, results, root)| CommitAnswer {
                position: Position {
                    incarnation,
                    version,
                },
                results,
                root,
            },
        )
    }

    proptest! {
        #[test]
        fn an_answer_is_written_as_serde_writes_it_and_read_again(id: u64, answer in answers()) {
            let (mut by_hand, mut by_serde) = (BytesMut::new(), BytesMut::new());
            let CommitAnswer { position, results, root } = &answer;
            let told = (*position, &results[..], root.as_ref());
            write_committed(&mut by_hand, FRAME_BYTES, id, told).unwrap();
            write_answer(&mut by_serde, FRAME_BYTES, id, Status::Final, &answer).unwrap();
            prop_assert_eq!(&by_hand, &by_serde);
            let body = body(by_hand);
            prop_assert_eq!(CommitAnswer::decode(&body), Ok(answer.clone()));
            prop_assert_eq!(decode_body::<CommitAnswer>(&body).unwrap(), answer);
        }

        #[test]
        fn what_is_damaged_is_left_to_serde_or_read_alike(
            answer in answers(),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let damaged = damaged(&answer, at, byte);
            if let Some(read) = read_committed(&damaged) {
                prop_assert_eq!(read, decode_body::<CommitAnswer>(&damaged).unwrap());
            }
        }
    }

    #[test]
    fn a_field_that_is_missing_is_named() {
        let short = Bytes::from_static(b"\x93\x01\x02\x90");
        let error = CommitAnswer::decode(&short).unwrap_err().to_string();
        assert!(error.ends_with("the root is missing"), "{error}");
    }
}
