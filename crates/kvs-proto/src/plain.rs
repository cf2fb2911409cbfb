//! Plain commits by hand: a few operations under no condition, sent for the first time. Almost all
//! commits are.
//!
//! As with lookups: what is written here is byte for byte what serde writes, what is read here is
//! the ordinary alone, and anything else is left to serde.

use crate::body::decode_body;
use crate::commit::{Commit, CommitAnswer, Operation, OperationResult};
use crate::error::ProtocolError;
use crate::limits::SHARED_TEXT_BYTES;
use crate::pack::{Rest, array, binary, number, signed, text};
use crate::position::Position;
use bytes::{Bytes, BytesMut};
use smol_str::SmolStr;
use std::cell::RefCell;

/// A map of four: those fields that are always there.
const NAMESPACE: &[u8] = b"\x84\xa9namespace";
const NUMBER: &[u8] = b"\xa6number";
const ACKNOWLEDGED: &[u8] = b"\xacacknowledged";
const OPERATIONS: &[u8] = b"\xaaoperations";

const PUT: &[u8] = b"\x81\xa3put\x82\xa3key";
const APPEND: &[u8] = b"\x81\xa6append\x82\xa3key";
const UNLINK: &[u8] = b"\x81\xa6unlink\x81\xa3key";
const ADD: &[u8] = b"\x81\xa3add\x82\xa3key";
const VALUE: &[u8] = b"\xa5value";
const DELTA: &[u8] = b"\xa5delta";

const INCARNATION: &[u8] = b"\x83\xa8position\x82\xabincarnation";
const VERSION: &[u8] = b"\xa7version";
const ROOT: &[u8] = b"\xa4root";
const RESULTS: &[u8] = b"\xa7results";
const DONE: &[u8] = b"\xa4done";
const ADDED: &[u8] = b"\x81\xa5added";

/// Most operations of a plain commit: the length of their array is then one byte.
const OPERATIONS_MAX: usize = 15;

/// Most bytes of a commit beside texts and values, and of each of its operations.
const COMMIT_PARTS: usize = 80;
const OPERATION_PARTS: usize = 40;

/// Appends the body of a commit if it is a plain one; if not, nothing.
pub(crate) fn commit(out: &mut BytesMut, commit: &Commit) -> bool {
    let Commit {
        namespace,
        number: own,
        acknowledged,
        repeat: None,
        name: None,
        no_merge: false,
        conditions,
        operations,
    } = commit
    else {
        return false;
    };
    if !conditions.is_empty() || operations.len() > OPERATIONS_MAX {
        return false;
    }
    let start = out.len();
    out.reserve(COMMIT_PARTS + namespace.len());
    out.extend_from_slice(NAMESPACE);
    text(out, namespace);
    out.extend_from_slice(NUMBER);
    number(out, *own);
    out.extend_from_slice(ACKNOWLEDGED);
    number(out, *acknowledged);
    out.extend_from_slice(OPERATIONS);
    array(out, operations.len());
    let plain = operations.iter().all(|operation| put(out, operation));
    if !plain {
        out.truncate(start);
    }
    plain
}

fn put(out: &mut BytesMut, operation: &Operation) -> bool {
    let (kind, key, value) = match operation {
        Operation::Put { key, value } => (PUT, key, Some(value)),
        Operation::Append { key, value } => (APPEND, key, Some(value)),
        Operation::Unlink { key } => (UNLINK, key, None),
        Operation::Add { key, .. } => (ADD, key, None),
        _ => return false,
    };
    out.reserve(OPERATION_PARTS + key.len() + value.map_or(0, Bytes::len));
    out.extend_from_slice(kind);
    text(out, key);
    if let Some(value) = value {
        out.extend_from_slice(VALUE);
        binary(out, value);
    }
    if let Operation::Add { delta, .. } = operation {
        out.extend_from_slice(DELTA);
        signed(out, *delta);
    }
    true
}

/// A plain commit, read where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainCommit<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The transaction's number.
    pub number: u64,
    /// All numbers below this one were answered.
    pub acknowledged: u64,
    /// How many operations there are, if all of them are plain.
    pub count: usize,
    operations: &'a [u8],
}

/// One of its operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in `Operation`")]
pub enum PlainOperation<'a> {
    /// Puts a value.
    Put { key: &'a str, value: &'a [u8] },
    /// Appends to a value.
    Append { key: &'a str, value: &'a [u8] },
    /// Removes what is at the key.
    Unlink { key: &'a str },
    /// Adds to an integer.
    Add { key: &'a str, delta: i64 },
}

impl<'a> PlainCommit<'a> {
    /// Reads the body of a commit, up to its operations.
    pub fn read(body: &'a [u8]) -> Option<Self> {
        let mut rest = Rest(body);
        Some(PlainCommit {
            namespace: rest.skip(NAMESPACE)?.request_text()?,
            number: rest.skip(NUMBER)?.number()?,
            acknowledged: rest.skip(ACKNOWLEDGED)?.number()?,
            count: rest.skip(OPERATIONS)?.short_array()?,
            operations: rest.0,
        })
    }

    /// Gives the operations, in order, to something that makes others of them; `None` if one of
    /// them is not plain, bytes follow the last, or that says so.
    pub fn operations<T>(
        &self,
        mut make: impl FnMut(PlainOperation<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut rest = Rest(self.operations);
        let mut made = Vec::with_capacity(self.count);
        for _ in 0..self.count {
            made.push(make(operation(&mut rest)?)?);
        }
        rest.0.is_empty().then_some(made)
    }
}

fn operation<'a>(rest: &mut Rest<'a>) -> Option<PlainOperation<'a>> {
    if rest.skip(PUT).is_some() {
        let key = rest.request_text()?;
        let value = rest.skip(VALUE)?.binary()?;
        return Some(PlainOperation::Put { key, value });
    }
    if rest.skip(ADD).is_some() {
        let key = rest.request_text()?;
        let delta = rest.skip(DELTA)?.signed()?;
        return Some(PlainOperation::Add { key, delta });
    }
    if rest.skip(UNLINK).is_some() {
        let key = rest.request_text()?;
        return Some(PlainOperation::Unlink { key });
    }
    let key = rest.skip(APPEND)?.request_text()?;
    let value = rest.skip(VALUE)?.binary()?;
    Some(PlainOperation::Append { key, value })
}

/// A version, as the answers to its commits tell it: made once, and copied into each answer.
#[derive(Debug, Clone)]
pub struct CommittedState(Vec<u8>);

impl CommittedState {
    /// The same for all commits of that version.
    pub fn new(position: Position, root: &str) -> CommittedState {
        let mut out = BytesMut::new();
        out.extend_from_slice(INCARNATION);
        number(&mut out, position.incarnation);
        out.extend_from_slice(VERSION);
        number(&mut out, position.version);
        out.extend_from_slice(ROOT);
        text(&mut out, root);
        out.extend_from_slice(RESULTS);
        CommittedState(out.into())
    }
}

/// Appends the body of the answer to a commit.
pub(crate) fn committed(
    out: &mut BytesMut,
    state: &CommittedState,
    results: impl ExactSizeIterator<Item = OperationResult>,
) {
    out.reserve(state.0.len() + OPERATION_PARTS);
    out.extend_from_slice(&state.0);
    array(out, results.len());
    for result in results {
        match result {
            OperationResult::Done => out.extend_from_slice(DONE),
            OperationResult::Added(sum) => {
                out.extend_from_slice(ADDED);
                signed(out, sum);
            }
        }
    }
}

impl CommitAnswer {
    /// Decodes the body of an answer to a commit: as [`decode_body`], but sooner where there are
    /// few results.
    ///
    /// # Errors
    /// `Body` if it is none.
    pub fn decode(body: &Bytes) -> Result<CommitAnswer, ProtocolError> {
        match read_committed(body) {
            Some(answer) => Ok(answer),
            None => decode_body(body),
        }
    }
}

thread_local! {
    /// The root that was read last: many commits in a row are of one version.
    static LAST: RefCell<SmolStr> = const { RefCell::new(SmolStr::new_static("")) };
}

fn read_committed(body: &[u8]) -> Option<CommitAnswer> {
    let mut rest = Rest(body);
    let position = Position {
        incarnation: rest.skip(INCARNATION)?.number()?,
        version: rest.skip(VERSION)?.number()?,
    };
    let root = rest.skip(ROOT)?.text_bytes()?;
    let root = LAST.with_borrow_mut(|last| {
        if last.as_bytes() == root {
            return Some(last.clone());
        }
        let new = SmolStr::new(std::str::from_utf8(root).ok()?);
        if root.len() <= SHARED_TEXT_BYTES {
            *last = new.clone();
        }
        Some(new)
    })?;
    let count = rest.skip(RESULTS)?.short_array()?;
    let mut results = Vec::with_capacity(count);
    for _ in 0..count {
        results.push(if rest.skip(DONE).is_some() {
            OperationResult::Done
        } else {
            OperationResult::Added(rest.skip(ADDED)?.signed()?)
        });
    }
    rest.0.is_empty().then_some(CommitAnswer {
        position,
        root,
        results,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{body, request_texts, texts, values};
    use crate::{
        Condition, FRAME_BYTES, Op, Request, Status, write_answer, write_committed, write_request,
    };
    use proptest::prelude::*;

    fn integers() -> impl Strategy<Value = i64> {
        let near = |bits: u32| {
            let power = 1_i128 << bits;
            prop_oneof![Just(power), Just(power - 1), Just(-power), Just(-power - 1)]
        };
        prop_oneof![
            any::<i64>(),
            -300..300_i64,
            (0..64_u32)
                .prop_flat_map(near)
                .prop_map(|number| number.clamp(i64::MIN.into(), i64::MAX.into()) as i64),
        ]
    }

    fn numbers() -> impl Strategy<Value = u64> {
        prop_oneof![any::<u64>(), integers().prop_map(i64::unsigned_abs)]
    }

    fn operations() -> impl Strategy<Value = Operation> {
        prop_oneof![
            4 => (request_texts(), values()).prop_map(|(key, value)| Operation::Put { key, value }),
            1 => (request_texts(), values()).prop_map(|(key, value)| Operation::Append { key, value }),
            1 => request_texts().prop_map(|key| Operation::Unlink { key }),
            1 => (request_texts(), integers()).prop_map(|(key, delta)| Operation::Add { key, delta }),
        ]
    }

    fn commits() -> impl Strategy<Value = Commit> {
        let operations = proptest::collection::vec(operations(), 0..=OPERATIONS_MAX);
        (request_texts(), numbers(), numbers(), operations).prop_map(
            |(namespace, number, acknowledged, operations)| Commit {
                namespace,
                number,
                acknowledged,
                repeat: None,
                name: None,
                no_merge: false,
                conditions: Vec::new(),
                operations,
            },
        )
    }

    fn answers() -> impl Strategy<Value = CommitAnswer> {
        let result = prop_oneof![
            Just(OperationResult::Done),
            integers().prop_map(OperationResult::Added),
        ];
        let results = prop_oneof![
            8 => proptest::collection::vec(result, 0..20),
            1 => (65_530..65_540_usize).prop_map(|count| vec![OperationResult::Done; count]),
        ];
        (numbers(), numbers(), texts(), results).prop_map(
            |(incarnation, version, root, results)| CommitAnswer {
                position: Position {
                    incarnation,
                    version,
                },
                root,
                results,
            },
        )
    }

    /// What was read, with everything in its own memory.
    fn owned(read: PlainCommit<'_>) -> Option<Commit> {
        let operations = read.operations(|operation| {
            Some(match operation {
                PlainOperation::Put { key, value } => Operation::Put {
                    key: key.into(),
                    value: Bytes::copy_from_slice(value),
                },
                PlainOperation::Append { key, value } => Operation::Append {
                    key: key.into(),
                    value: Bytes::copy_from_slice(value),
                },
                PlainOperation::Unlink { key } => Operation::Unlink { key: key.into() },
                PlainOperation::Add { key, delta } => Operation::Add {
                    key: key.into(),
                    delta,
                },
            })
        })?;
        Some(Commit {
            namespace: read.namespace.into(),
            number: read.number,
            acknowledged: read.acknowledged,
            repeat: None,
            name: None,
            no_merge: false,
            conditions: Vec::new(),
            operations,
        })
    }

    fn by_serde(commit: &Commit) -> Bytes {
        rmp_serde::to_vec_named(commit).unwrap().into()
    }

    proptest! {
        #[test]
        fn a_plain_commit_is_written_as_serde_writes_it_and_read_again(commit in commits()) {
            let serde = by_serde(&commit);
            let mut out = BytesMut::new();
            prop_assert!(super::commit(&mut out, &commit));
            prop_assert_eq!(&out[..], &serde[..]);
            prop_assert_eq!(PlainCommit::read(&serde).and_then(owned), Some(commit.clone()));
            let mut frame = BytesMut::new();
            write_request(&mut frame, FRAME_BYTES, 1, &commit.into()).unwrap();
            prop_assert_eq!(body(frame), serde);
        }

        #[test]
        fn an_answer_to_a_commit_is_written_as_serde_writes_it_and_read_again(
            id in numbers(),
            answer in answers(),
        ) {
            let (mut by_hand, mut by_serde) = (BytesMut::new(), BytesMut::new());
            let state = CommittedState::new(answer.position, &answer.root);
            let results = answer.results.iter().cloned();
            write_committed(&mut by_hand, FRAME_BYTES, id, &state, results).unwrap();
            write_answer(&mut by_serde, FRAME_BYTES, id, Status::Final, &answer).unwrap();
            prop_assert_eq!(&by_hand, &by_serde);
            let body = body(by_hand);
            prop_assert!(answer.results.len() > 15 || read_committed(&body).is_some());
            prop_assert_eq!(CommitAnswer::decode(&body).unwrap(), answer);
        }

        #[test]
        fn a_damaged_commit_or_answer_is_left_to_serde_or_read_alike(
            commit in commits(),
            answer in answers(),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let damage = |whole: &[u8]| {
                let mut damaged = whole.to_vec();
                let place = at.index(damaged.len());
                damaged[place] = byte;
                Bytes::from(damaged)
            };
            let damaged = damage(&by_serde(&commit));
            if let Some(read) = PlainCommit::read(&damaged).and_then(owned) {
                let Ok(Request::Commit(commit)) = Request::decode(Op::Commit, &damaged) else {
                    return Err(TestCaseError::fail("serde refuses it"));
                };
                prop_assert_eq!(read, commit);
            }
            let damaged = damage(&rmp_serde::to_vec_named(&answer).unwrap());
            if let Some(read) = read_committed(&damaged) {
                prop_assert_eq!(read, decode_body::<CommitAnswer>(&damaged).unwrap());
            }
        }
    }

    #[test]
    fn whatever_else_a_commit_may_have_is_left_to_serde() {
        let put = Operation::Put {
            key: "a".into(),
            value: "v".into(),
        };
        let plain = Commit {
            namespace: "primary".into(),
            number: 1,
            acknowledged: 1,
            repeat: None,
            name: None,
            no_merge: false,
            conditions: Vec::new(),
            operations: vec![put.clone()],
        };
        let mkdir = Operation::Mkdir { key: "d".into() };
        let others = [
            Commit {
                repeat: Some(Position {
                    incarnation: 1,
                    version: 1,
                }),
                ..plain.clone()
            },
            Commit {
                name: Some("n".into()),
                ..plain.clone()
            },
            Commit {
                no_merge: true,
                ..plain.clone()
            },
            Commit {
                conditions: vec![Condition::Absent { key: "a".into() }],
                ..plain.clone()
            },
            Commit {
                operations: vec![put.clone(), mkdir],
                ..plain.clone()
            },
            Commit {
                operations: vec![put; OPERATIONS_MAX + 1],
                ..plain
            },
        ];
        for commit in others {
            let mut out = BytesMut::from(&b"before"[..]);
            assert!(!super::commit(&mut out, &commit));
            assert_eq!(out, &b"before"[..]);
            let body = by_serde(&commit);
            assert_eq!(PlainCommit::read(&body).and_then(owned), None, "{commit:?}");
            write_request(&mut out, FRAME_BYTES, 1, &commit.into()).unwrap();
            assert!(out.ends_with(&body));
        }
        assert_eq!(PlainCommit::read(b""), None);
    }
}
