//! What operations have in common: what they are given, what they answer, and how an answer becomes
//! a frame.

use std::sync::Arc;

use bytes::BytesMut;
use kvs_engine::Caller;
use kvs_proto as wire;
use kvs_proto::{FRAME_BYTES, Status, write_answer, write_error};

use super::super::failure::Failure;
use super::super::shared::Shared;

/// What an operation needs of its session.
#[derive(Clone)]
pub(crate) struct Context {
    /// The engine and the daemon's counters.
    pub(crate) shared: Arc<Shared>,
    /// Who asks.
    pub(crate) caller: Caller,
}

/// The answer to a request.
pub(crate) enum Answer {
    /// To a lookup.
    Lookup(Box<wire::LookupAnswer>),
    /// To a list.
    List(Box<wire::ListAnswer>),
    /// To a read.
    Read(wire::ReadAnswer),
    /// To an info.
    Info(Box<wire::InfoAnswer>),
    /// To a lookup_many.
    LookupMany(wire::LookupManyAnswer),
    /// To a nodes.
    Nodes(wire::NodesAnswer),
    /// To a wait.
    Wait(wire::WaitAnswer),
    /// To a log.
    Log(wire::LogAnswer),
    /// To a pin.
    Pin(wire::PinAnswer),
    /// To a pins.
    Pins(wire::PinsAnswer),
    /// To a namespace_create.
    Namespace(wire::NamespaceInfo),
    /// To a namespaces.
    Namespaces(wire::NamespacesAnswer),
    /// To a status.
    Status(wire::StatusAnswer),
    /// To what has nothing to tell.
    Done,
}

/// Appends the final answer under `id` to `out`; an answer that fits no frame becomes an error.
pub(crate) fn write(out: &mut BytesMut, id: u64, answer: &Result<Answer, Failure>) {
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => return write_error(out, id, failure.code, &failure.message),
    };
    let written = match answer {
        Answer::Lookup(body) => write_answer(out, FRAME_BYTES, id, Status::Final, body),
        Answer::List(body) => write_answer(out, FRAME_BYTES, id, Status::Final, body),
        Answer::Read(body) => write_answer(out, FRAME_BYTES, id, Status::Final, body),
        Answer::Info(body) => write_answer(out, FRAME_BYTES, id, Status::Final, body),
        Answer::LookupMany(body) => write_answer(out, FRAME_BYTES, id, Status::Final, body),
        Answer::Nodes(body) => write_answer(out, FRAME_BYTES, id, Status::Final, body),
        Answer::Wait(body) => write_answer(out, FRAME_BYTES, id, Status::Final, body),
        Answer::Log(body) => write_answer(out, FRAME_BYTES, id, Status::Final, body),
        Answer::Pin(body) => write_answer(out, FRAME_BYTES, id, Status::Final, body),
        Answer::Pins(body) => write_answer(out, FRAME_BYTES, id, Status::Final, body),
        Answer::Namespace(body) => write_answer(out, FRAME_BYTES, id, Status::Final, body),
        Answer::Namespaces(body) => write_answer(out, FRAME_BYTES, id, Status::Final, body),
        Answer::Status(body) => write_answer(out, FRAME_BYTES, id, Status::Final, body),
        Answer::Done => write_answer(out, FRAME_BYTES, id, Status::Final, &wire::Empty {}),
    };
    if let Err(error) = written {
        let failure = Failure::from(error);
        write_error(out, id, failure.code, &failure.message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvs_proto::{ErrorBody, ErrorCode, FrameCodec, decode_body};
    use tokio_util::codec::Decoder;

    #[test]
    fn an_answer_that_fits_no_frame_becomes_an_error() {
        let mut out = BytesMut::new();
        let treeobj = Some("x".repeat(FRAME_BYTES));
        let answer = wire::LookupAnswer {
            entry: None,
            namespace: "primary".into(),
            key: "a".into(),
            position: wire::Position {
                incarnation: 1,
                version: 1,
            },
            root: "".into(),
            snapshot: "".into(),
            treeobj,
        };
        write(&mut out, 7, &Ok(Answer::Lookup(Box::new(answer))));
        let frame = FrameCodec::default().decode(&mut out).unwrap().unwrap();
        assert_eq!((frame.id, frame.tag), (7, Status::Error.code()));
        let body: ErrorBody = decode_body(&frame.body).unwrap();
        assert_eq!(body.kind(), ErrorCode::TooBig);
        assert!(out.is_empty());
    }
}
