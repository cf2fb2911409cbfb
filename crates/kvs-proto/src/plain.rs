//! Plain commits by hand: a few operations without conditions, sent for the first time. Almost all
//! commits are plain.
//!
//! As for lookups, the writer produces byte for byte what serde writes, and the reader accepts only
//! the usual form and leaves everything else to serde.

use crate::commit::{Commit, Operation};
use crate::pack::{Rest, array, binary, number, signed, text};
use bytes::{Bytes, BytesMut};

/// A map of four fields, those that are always present, or of five.
const NAMESPACE: &[u8] = b"\x84\xa9namespace";
const NAMESPACE_OF_FIVE: &[u8] = b"\x85\xa9namespace";
const NUMBER: &[u8] = b"\xa6number";
const ACKNOWLEDGED: &[u8] = b"\xacacknowledged";
const ROOT: &[u8] = b"\xa4root\xc3";
const ROOT_OPERATIONS: &[u8] = b"\xa4root\xc3\xaaoperations";
const OPERATIONS: &[u8] = b"\xaaoperations";

const PUT: &[u8] = b"\x81\xa3put\x82\xa3key";
const APPEND: &[u8] = b"\x81\xa6append\x82\xa3key";
const UNLINK: &[u8] = b"\x81\xa6unlink\x81\xa3key";
const ADD: &[u8] = b"\x81\xa3add\x82\xa3key";
const VALUE: &[u8] = b"\xa5value";
const DELTA: &[u8] = b"\xa5delta";

/// Maximum operations of a plain commit: the length of their array fits in one byte.
const OPERATIONS_MAX: usize = 15;

/// Maximum bytes of a commit, and of each operation, apart from strings and values.
const COMMIT_PARTS: usize = 80;
const OPERATION_PARTS: usize = 40;

/// Appends the body of a commit if it is plain; returns whether it was.
pub(crate) fn commit(out: &mut BytesMut, commit: &Commit) -> bool {
    let Commit {
        namespace,
        number: own,
        acknowledged,
        root,
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
    out.extend_from_slice(if *root { NAMESPACE_OF_FIVE } else { NAMESPACE });
    text(out, namespace);
    out.extend_from_slice(NUMBER);
    number(out, *own);
    out.extend_from_slice(ACKNOWLEDGED);
    number(out, *acknowledged);
    out.extend_from_slice(if *root { ROOT_OPERATIONS } else { OPERATIONS });
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

/// A plain commit that borrows from the request's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainCommit<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The transaction's number.
    pub number: u64,
    /// All numbers below this one have been answered.
    pub acknowledged: u64,
    /// Whether the answer carries the root of the version.
    pub root: bool,
    /// The number of operations, if all of them are plain.
    pub count: usize,
    operations: &'a [u8],
}

/// An operation of a [`PlainCommit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in `Operation`")]
pub enum PlainOperation<'a> {
    /// Puts a value.
    Put { key: &'a str, value: &'a [u8] },
    /// Appends to a value.
    Append { key: &'a str, value: &'a [u8] },
    /// Removes the entry at the key.
    Unlink { key: &'a str },
    /// Adds to an integer.
    Add { key: &'a str, delta: i64 },
}

impl<'a> PlainCommit<'a> {
    /// Reads the body of a commit, up to its operations; `None` if it is not plain.
    pub fn read(body: &'a [u8]) -> Option<Self> {
        let mut rest = Rest(body);
        let root = rest.skip(NAMESPACE).is_none();
        if root {
            rest.skip(NAMESPACE_OF_FIVE)?;
        }
        Some(PlainCommit {
            namespace: rest.request_text()?,
            number: rest.skip(NUMBER)?.number()?,
            acknowledged: rest.skip(ACKNOWLEDGED)?.number()?,
            root: match root {
                true => rest.skip(ROOT).map(|_| true)?,
                false => false,
            },
            count: rest.skip(OPERATIONS)?.short_array()?,
            operations: rest.0,
        })
    }

    /// Passes the operations to `make`, in order. `None` if one of them is not plain, if bytes
    /// follow the last, or if `make` returns `None`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{body, request_texts, values};
    use crate::{Condition, FRAME_BYTES, Op, Position, Request, write_request};
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
        (
            request_texts(),
            numbers(),
            numbers(),
            any::<bool>(),
            operations,
        )
            .prop_map(
                |(namespace, number, acknowledged, root, operations)| Commit {
                    namespace,
                    number,
                    acknowledged,
                    root,
                    repeat: None,
                    name: None,
                    no_merge: false,
                    conditions: Vec::new(),
                    operations,
                },
            )
    }

    /// The same commit in its owned form.
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
            root: read.root,
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
        fn a_damaged_commit_is_left_to_serde_or_read_alike(
            commit in commits(),
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
            root: false,
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
