//! Codec cases: frames of the most frequent requests and answers.

use std::hint::black_box;

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use kvs_proto::{
    At, Change, ChangeKind, ChangeValue, Changes, Commit, CommitAnswer, Entry, FRAME_BYTES,
    FrameCodec, Lookup, LookupAnswer, Op, Operation, OperationResult, PlainCommit, PlainOperation,
    Position, Request, Status, ValueInfo, WatchItem, decode_body, write_answer, write_committed,
    write_request,
};
use kvs_tree::{Blobref, HashAlgorithm, Key};
use serde::Serialize;
use serde::de::DeserializeOwned;
use smol_str::SmolStr;
use tokio_util::codec::Decoder;

/// An id, version or number of typical size.
pub(crate) const NUMBER: u64 = 1 << 20;

fn commit() -> Request {
    Request::Commit(Commit {
        namespace: "primary".into(),
        number: NUMBER,
        acknowledged: NUMBER,
        root: true,
        repeat: None,
        name: None,
        no_merge: false,
        conditions: Vec::new(),
        operations: vec![Operation::Put {
            key: "bench.key500".into(),
            value: value(),
        }],
    })
}

fn lookup() -> Request {
    Request::Lookup(Lookup {
        namespace: "primary".into(),
        key: "bench.key500".into(),
        at: At::Current,
        follow: true,
        treeobj: false,
        root: false,
        inline_max: None,
    })
}

fn value() -> Bytes {
    Bytes::from_static(&[b'x'; 64])
}

pub(crate) fn position() -> Position {
    Position {
        incarnation: NUMBER,
        version: NUMBER,
    }
}

pub(crate) fn root() -> SmolStr {
    format!("blake3-{:064x}", NUMBER).into()
}

pub(crate) fn snapshot() -> SmolStr {
    format!("primary@{NUMBER}:{}", root()).into()
}

pub(crate) fn found() -> LookupAnswer {
    LookupAnswer {
        position: position(),
        entry: Some(Entry::Value(ValueInfo::whole(value()))),
        root: None,
        place: None,
        treeobj: None,
    }
}

fn changes() -> WatchItem {
    WatchItem::Changes(Changes {
        position: position(),
        root: root(),
        snapshot: snapshot(),
        time_ms: NUMBER,
        transactions: Vec::new(),
        skipped: 0,
        changes: vec![Change::new(
            "bench.key500",
            ChangeKind::Put,
            ChangeValue::Bytes(value()),
        )],
        behind: None,
        last: true,
    })
}

fn encode(rounds: u64, request: &Request) -> anyhow::Result<()> {
    let mut out = BytesMut::with_capacity(4096);
    for _ in 0..rounds {
        out.clear();
        write_request(&mut out, FRAME_BYTES, NUMBER, black_box(request))?;
        black_box(&out);
    }
    Ok(())
}

fn decode(rounds: u64, request: &Request) -> anyhow::Result<()> {
    let mut frame = BytesMut::new();
    write_request(&mut frame, FRAME_BYTES, NUMBER, request)?;
    let (mut codec, mut input) = (FrameCodec::default(), BytesMut::with_capacity(1 << 20));
    for _ in 0..rounds {
        input.extend_from_slice(&frame);
        if let Some(frame) = codec.decode(&mut input)? {
            let op = Op::from_code(frame.tag)?;
            black_box(Request::decode(op, &frame.body)?);
        }
    }
    Ok(())
}

/// Encodes the frame of a put.
pub(crate) fn encode_commit(rounds: u64) -> anyhow::Result<()> {
    encode(rounds, &commit())
}

/// Decodes the frame of a put as a session of the daemon does.
pub(crate) fn decode_commit(rounds: u64) -> anyhow::Result<()> {
    let mut frame = BytesMut::new();
    write_request(&mut frame, FRAME_BYTES, NUMBER, &commit())?;
    let codec = FrameCodec::default();
    for _ in 0..rounds {
        let request = codec.peek(black_box(&frame)).context("no frame")?;
        let commit = PlainCommit::read(request.body).context("no plain commit")?;
        let operations = commit.operations(|operation| match operation {
            PlainOperation::Put { key, value } => {
                Some((Key::parse(key).ok()?, Bytes::copy_from_slice(value)))
            }
            _ => None,
        });
        black_box(operations.context("no put")?);
    }
    Ok(())
}

/// Encodes the frame of a lookup.
pub(crate) fn encode_lookup(rounds: u64) -> anyhow::Result<()> {
    encode(rounds, &lookup())
}

/// Decodes the frame of a lookup.
pub(crate) fn decode_lookup(rounds: u64) -> anyhow::Result<()> {
    decode(rounds, &lookup())
}

/// Encodes and decodes the answer to a commit.
pub(crate) fn committed_and_back(rounds: u64) -> anyhow::Result<()> {
    let (mut codec, mut buffer) = (FrameCodec::default(), BytesMut::with_capacity(1 << 20));
    let root = Blobref::of(HashAlgorithm::Blake3, b"");
    for _ in 0..rounds {
        let told = (position(), &[OperationResult::Done][..], Some(&root));
        write_committed(&mut buffer, FRAME_BYTES, NUMBER, black_box(told))?;
        if let Some(frame) = codec.decode(&mut buffer)? {
            black_box(CommitAnswer::decode(&frame.body)?);
        }
    }
    Ok(())
}

/// Encodes and decodes the answer to a lookup.
pub(crate) fn found_and_back(rounds: u64) -> anyhow::Result<()> {
    and_back::<LookupAnswer>(rounds, Status::Final, &found())
}

/// Encodes and decodes a watch event.
pub(crate) fn event_and_back(rounds: u64) -> anyhow::Result<()> {
    and_back::<WatchItem>(rounds, Status::Item, &changes())
}

/// Encodes and decodes an answer of the daemon.
fn and_back<T: Serialize + DeserializeOwned>(
    rounds: u64,
    status: Status,
    answer: &T,
) -> anyhow::Result<()> {
    let (mut codec, mut buffer) = (FrameCodec::default(), BytesMut::with_capacity(1 << 20));
    for _ in 0..rounds {
        write_answer(&mut buffer, FRAME_BYTES, NUMBER, status, black_box(answer))?;
        if let Some(frame) = codec.decode(&mut buffer)? {
            black_box(decode_body::<T>(&frame.body)?);
        }
    }
    Ok(())
}
