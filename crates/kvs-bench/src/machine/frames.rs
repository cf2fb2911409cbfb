//! Frame sizes of a workload, determined by encoding one frame of each kind. The ping-pong and the
//! disk are measured with the same sizes.

use bytes::BytesMut;
use kvs_client::{At, Entry, OperationResult, Position, ValueInfo};
use kvs_proto::{
    Commit, CommitAnswer, FRAME_BYTES, Lookup, LookupAnswer, Request, Status, write_answer,
    write_request,
};
use kvs_tree::{Blobref, HashAlgorithm};
use serde::Serialize;

use crate::load::Work;
use crate::plan::{Size, Workload};
use crate::workloads::txn;

/// A number of typical size, for ids, versions and transaction numbers.
const NUMBER: u64 = 1 << 20;

/// Sizes in bytes on the wire, including length fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frames {
    /// Size of a request.
    pub(crate) request: usize,
    /// Size of an answer.
    pub(crate) answer: usize,
    /// Size of a committing request, about what the journal stores.
    pub(crate) record: usize,
}

/// Maximum counted bytes of a value; longer ones are sent in pieces.
const PIECE_BYTES: usize = 1 << 20;

/// Returns the frame sizes of a workload.
pub(crate) fn of(workload: Workload, size: &Size) -> Frames {
    let size = &Size {
        value: size.value.min(PIECE_BYTES),
        ..*size
    };
    let work = match workload {
        Workload::Txn => txn::transaction(size, NUMBER),
        _ => Work::put(size, NUMBER),
    };
    let record = request(work);
    match workload {
        Workload::Get | Workload::SnapshotGet | Workload::Mixed => {
            let at = match workload {
                Workload::SnapshotGet => At::Snapshot(snapshot().into()),
                _ => At::Current,
            };
            Frames {
                request: request(Work::Get(size.key_of_request(NUMBER), at)),
                answer: found(size),
                record,
            }
        }
        _ => Frames {
            request: record,
            answer: committed(if workload == Workload::Txn { 3 } else { 1 }),
            record,
        },
    }
}

fn request(work: Work) -> usize {
    let namespace = "bench-0000000-put".into();
    let request: Request = match work {
        Work::Commit(transaction) => Commit {
            namespace,
            number: NUMBER,
            acknowledged: NUMBER,
            root: true,
            repeat: None,
            name: None,
            no_merge: false,
            conditions: transaction.conditions,
            operations: transaction.operations,
        }
        .into(),
        Work::Get(key, at) => Lookup {
            namespace,
            key,
            at,
            follow: true,
            treeobj: false,
            root: false,
            inline_max: None,
        }
        .into(),
    };
    let mut out = BytesMut::new();
    // The daemon refuses a request that exceeds a frame and reports why.
    let _ = write_request(&mut out, FRAME_BYTES, NUMBER, &request);
    out.len().max(1)
}

fn root() -> Blobref {
    Blobref::of(HashAlgorithm::Blake3, b"")
}

fn snapshot() -> String {
    format!("bench-0000000-put@{NUMBER}:{}", root())
}

fn position() -> Position {
    Position {
        incarnation: NUMBER,
        version: NUMBER,
    }
}

fn answer(body: &impl Serialize) -> usize {
    let mut out = BytesMut::new();
    let _ = write_answer(&mut out, FRAME_BYTES, NUMBER, Status::Final, body);
    out.len().max(1)
}

fn committed(operations: usize) -> usize {
    answer(&CommitAnswer {
        position: position(),
        results: vec![OperationResult::Done; operations],
        root: Some(root()),
    })
}

fn found(size: &Size) -> usize {
    answer(&LookupAnswer {
        position: position(),
        entry: Some(Entry::Value(ValueInfo::whole(size.value_with(0)))),
        root: None,
        place: None,
        treeobj: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Layout;

    #[test]
    fn frames_hold_what_they_carry() {
        let size = Size {
            keys: 1000,
            value: 64,
            watchers: 0,
            layout: Layout::Directory,
        };
        let put = of(Workload::Put, &size);
        let get = of(Workload::Get, &size);
        assert!(put.request > 64 && put.request == put.record, "{put:?}");
        assert!(get.answer > 64 && get.request < put.request, "{get:?}");
    }
}
