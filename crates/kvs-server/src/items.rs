//! Stream items as frames: events and bookmarks, each with its effect on the stream's credit and
//! position.

use bytes::Bytes;
use kvs_engine::Position;
use kvs_proto as wire;
use kvs_proto::{
    ErrorCode, FRAME_BYTES, ProtocolError, RootItem, Status, WatchItem, encode_body, write_answer,
    write_head,
};

use super::failure::Failure;
use super::outbox::Outbox;
use super::stream::{Bookmark, Source, Stream, StreamId, Told};
use super::{events, outgoing};

/// Encodes an event of a source and updates the stream's state from it.
pub(crate) fn encode(source: &Source, told: &Told, stream: &mut Stream) -> Result<Bytes, Failure> {
    let too_big = |error: ProtocolError| Failure::new(ErrorCode::TooBig, error.to_string());
    let shared = match told {
        Told::Event(shared) => shared,
        Told::Root(moved) => {
            stream.partial = matches!(moved, RootItem::Moved(part) if !part.last);
            stream.told = source.read().unwrap_or(stream.told);
            return encode_body(moved).map_err(too_big);
        }
    };
    let namespace = match source {
        Source::Watch(watch) => watch.namespace(),
        Source::Roots(_) | Source::Absent { .. } => "",
    };
    let reached = events::reached(shared.event());
    stream.partial = reached.is_none();
    stream.told = reached.map_or(stream.told, |position: Position| position.version);
    let limit = u64::from(stream.limit);
    if !events::fits(shared.event(), limit) {
        return events::body(namespace, shared.event(), limit).map_err(too_big);
    }
    let mut failed = None;
    let body = shared.encoded(|event| {
        events::body(namespace, event, u64::MAX).unwrap_or_else(|error| {
            failed = Some(error);
            Bytes::new()
        })
    });
    match failed {
        Some(error) => Err(too_big(error)),
        // An earlier attempt failed and left an empty body.
        None if body.is_empty() => Err(Failure::new(ErrorCode::TooBig, "an event has no form")),
        None => Ok(body.clone()),
    }
}

/// Sends an item and charges the stream's credit.
pub(crate) fn send(stream: &mut Stream, body: &Bytes, out: &mut Outbox) -> Result<(), Failure> {
    let head = write_head(
        out.frames(),
        FRAME_BYTES,
        stream.id,
        Status::Item,
        body.len(),
    );
    head.map_err(|error| Failure::new(ErrorCode::TooBig, error.to_string()))?;
    out.share(body);
    stream.allowance.spend(body.len());
    Ok(())
}

/// Sends a requested bookmark, unless it has to wait for the last part of a version.
pub(crate) fn send_asked_mark(stream: &mut Stream, out: &mut Outbox) {
    if stream.mark_asked && !stream.partial && send_mark(stream, true, out) {
        stream.mark_asked = false;
    }
}

/// Sends a bookmark. Omits an unrequested one that reports no progress. False if the stream's
/// position is not available now.
pub(crate) fn send_mark(stream: &mut Stream, requested: bool, out: &mut Outbox) -> bool {
    let Some(bookmark) = stream.source.as_mut().and_then(Source::mark) else {
        return false;
    };
    if requested || bookmark.read() > stream.told {
        stream.told = stream.told.max(bookmark.read());
        match bookmark {
            Bookmark::Watch(position) => {
                let position = outgoing::position(position);
                let mark = wire::Mark {
                    position,
                    requested,
                };
                item(out, stream.id, &WatchItem::Mark(mark));
            }
            Bookmark::Roots(place) => {
                let place = place.to_string().into();
                let mark = wire::RootMark { place, requested };
                item(out, stream.id, &RootItem::Mark(mark));
            }
        }
    }
    true
}

/// Appends an item that costs no credit and fits in any frame.
pub(crate) fn item<T: serde::Serialize>(out: &mut Outbox, id: StreamId, body: &T) {
    let written = write_answer(out.frames(), FRAME_BYTES, id, Status::Item, body);
    debug_assert!(written.is_ok(), "an item of a few words fits");
}
