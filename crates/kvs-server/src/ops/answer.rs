//! Types shared by operations: their context, their answers, and how an answer becomes a frame.

use std::iter;
use std::sync::Arc;

use bytes::Bytes;
use kvs_engine::Principal;
use kvs_proto as wire;
use kvs_proto::{
    FRAME_BYTES, ProtocolError, Status, encode_in_pieces, write_answer, write_error, write_head,
};
use serde::Serialize;

use super::super::failure::Failure;
use super::super::outbox::Outbox;
use super::super::shared::Shared;
use crate::limits::SHARED_BODY_BYTES;

/// The session state that an operation needs.
#[derive(Clone)]
pub(crate) struct Context {
    /// The engine and the daemon's counters.
    pub(crate) shared: Arc<Shared>,
    /// The user who makes the request.
    pub(crate) caller: Principal,
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
    /// An answer without content.
    Done,
}

/// The bytes of a value in an entry.
fn value(entry: &wire::Entry) -> Option<&Bytes> {
    match entry {
        wire::Entry::Value(value) => value.bytes.as_ref(),
        wire::Entry::Directory(_) | wire::Entry::Link(_) => None,
    }
}

/// Appends the final answer under `id` to `out`. An answer that does not fit in a frame becomes an
/// error. Long values are shared, not copied.
pub(crate) fn write(out: &mut Outbox, id: u64, answer: &Result<Answer, Failure>) {
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => return write_error(out.frames(), id, failure.code, &failure.message),
    };
    let written = match answer {
        Answer::Lookup(body) => send(out, id, body, body.entry.iter().filter_map(value)),
        Answer::List(body) => {
            let entries = body.entries.iter().map(|listed| &listed.entry);
            send(out, id, body, entries.filter_map(value))
        }
        Answer::Read(body) => send(out, id, body, iter::once(&body.bytes)),
        Answer::LookupMany(body) => {
            let found = body.results.iter().filter_map(|result| match result {
                wire::LookedUp::Found(entry) => value(entry),
                wire::LookedUp::Absent | wire::LookedUp::Failed(_) => None,
            });
            send(out, id, body, found)
        }
        Answer::Nodes(body) => send(out, id, body, body.nodes.iter().chain(&body.value)),
        Answer::Info(body) => copy(out, id, body),
        Answer::Wait(body) => copy(out, id, body),
        Answer::Log(body) => copy(out, id, body),
        Answer::Pin(body) => copy(out, id, body),
        Answer::Pins(body) => copy(out, id, body),
        Answer::Namespace(body) => copy(out, id, body),
        Answer::Namespaces(body) => copy(out, id, body),
        Answer::Status(body) => copy(out, id, body),
        Answer::Done => copy(out, id, &wire::Empty {}),
    };
    if let Err(error) = written {
        let failure = Failure::from(error);
        write_error(out.frames(), id, failure.code, &failure.message);
    }
}

fn copy(out: &mut Outbox, id: u64, body: &impl Serialize) -> Result<(), ProtocolError> {
    write_answer(out.frames(), FRAME_BYTES, id, Status::Final, body)
}

/// Appends an answer with these values, given in the order in which they are encoded.
fn send<'a>(
    out: &mut Outbox,
    id: u64,
    body: &impl Serialize,
    values: impl Iterator<Item = &'a Bytes> + Clone,
) -> Result<(), ProtocolError> {
    if values.clone().all(|value| value.len() < SHARED_BODY_BYTES) {
        return copy(out, id, body);
    }
    let pieces = encode_in_pieces(body, values, SHARED_BODY_BYTES)?;
    let bytes = pieces.iter().map(Bytes::len).sum();
    write_head(out.frames(), FRAME_BYTES, id, Status::Final, bytes)?;
    pieces.iter().for_each(|piece| out.share(piece));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use kvs_proto::{ErrorBody, ErrorCode, FrameCodec, decode_body};
    use tokio_util::codec::Decoder;

    #[test]
    fn an_answer_that_fits_no_frame_becomes_an_error() {
        let mut out = Outbox::default();
        let treeobj = Some("x".repeat(FRAME_BYTES));
        let answer = wire::LookupAnswer {
            position: wire::Position {
                incarnation: 1,
                version: 1,
            },
            entry: None,
            root: None,
            place: None,
            treeobj,
        };
        write(&mut out, 7, &Ok(Answer::Lookup(Box::new(answer))));
        let mut codec = FrameCodec::default();
        let frame = codec.decode(out.frames()).unwrap().unwrap();
        assert_eq!((frame.id, frame.tag), (7, Status::Error.code()));
        let body: ErrorBody = decode_body(&frame.body).unwrap();
        assert_eq!(body.kind(), ErrorCode::TooBig);
        assert!(out.is_empty());
    }

    #[test]
    fn a_long_value_is_sent_without_a_copy_and_a_short_one_with_the_rest() {
        for (length, shared) in [(SHARED_BODY_BYTES, true), (SHARED_BODY_BYTES - 1, false)] {
            let bytes = Bytes::from(vec![b'x'; length]);
            let read = wire::ReadAnswer {
                bytes: bytes.clone(),
                size: length as u64,
                position: wire::Position {
                    incarnation: 1,
                    version: 1,
                },
                snapshot: "".into(),
            };
            let mut wanted = BytesMut::new();
            write_answer(&mut wanted, FRAME_BYTES, 7, Status::Final, &read).unwrap();
            let mut out = Outbox::default();
            write(&mut out, 7, &Ok(Answer::Read(read)));
            assert_eq!(out.len(), wanted.len());
            assert_eq!(out.shared() == Some(bytes.as_ptr()), shared);
        }
    }
}
