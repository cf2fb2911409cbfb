//! The watches of one connection and the pump that turns them into items.
//!
//! A watch is data: nothing runs for it until it is ready, has credit, and the connection has room
//! for an item. Ready watches have their turn one after the other, an item each; one whose next
//! event has to be read from the disk is advanced on a task of its own meanwhile and delays nobody.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use kvs_engine::{
    Caller, Engine, EngineError, Position, SharedEvent, WakeSink, Watch, WatchEvent, WatchRequest,
};
use kvs_proto as wire;
use kvs_proto::{
    ErrorCode, FRAME_BYTES, STREAM_CREDIT, Status, WatchItem, write_answer, write_error,
};
use tokio::task::JoinSet;

use super::failure::Failure;
use super::ready::{ReadySet, StreamId, Ticket};
use super::work::{Pending, at_once};
use super::{incoming, outgoing};
use crate::limits::{MARK_VERSIONS, OUTGOING_EVENT_BYTES, STREAM_STEPS};

/// Puts a watch in line.
struct Wake {
    ticket: Arc<Ticket>,
    ready: Arc<ReadySet>,
}

impl WakeSink for Wake {
    fn wake(&self, _token: u64) {
        self.ready.push(&self.ticket);
    }
}

/// One open watch.
struct Stream {
    ticket: Arc<Ticket>,
    /// The watch, unless a step of it is under way.
    watch: Option<Box<Watch>>,
    /// Tells the steps of this stream from those of an earlier one with the same id.
    serial: u64,
    /// Items that may still be sent.
    credit: u64,
    /// Longest value to send inline, in bytes.
    limit: u64,
    /// The newest version that the client was told of.
    told: u64,
    /// Whether it was woken while a step was under way.
    woken: bool,
}

/// The end of a step: the watch and what it gave.
type Stepped = Result<(Box<Watch>, Option<Arc<SharedEvent>>), EngineError>;

/// A step that could not be finished at once.
struct Finished {
    id: StreamId,
    serial: u64,
    result: Stepped,
}

/// All watches of one connection.
#[derive(Default)]
pub(crate) struct Streams {
    ready: Arc<ReadySet>,
    streams: HashMap<StreamId, Stream>,
    steps: JoinSet<Finished>,
    serial: u64,
}

impl Streams {
    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether one is open under this id.
    pub(crate) fn contains(&self, id: StreamId) -> bool {
        self.streams.contains_key(&id)
    }

    /// Opens a watch; its items, or the error that keeps it from follow in `out`.
    pub(crate) fn open(
        &mut self,
        engine: &Engine,
        caller: Caller,
        id: StreamId,
        asked: wire::Watch,
        out: &mut BytesMut,
    ) {
        let scopes = match incoming::scopes(&asked.scopes) {
            Ok(scopes) => scopes,
            Err(failure) => return write_error(out, id, failure.code, &failure.message),
        };
        let request = WatchRequest::new(scopes, incoming::start(&asked.start));
        let ticket = Ticket::new(id);
        let sink = Arc::new(Wake {
            ticket: Arc::clone(&ticket),
            ready: Arc::clone(&self.ready),
        });
        let watch = match engine.watch(caller, &asked.namespace, request, sink, id) {
            Ok(watch) => Box::new(watch),
            Err(error) => {
                let failure = Failure::from(error);
                return write_error(out, id, failure.code, &failure.message);
            }
        };
        let position = watch.position();
        answer(
            out,
            id,
            Status::Item,
            &WatchItem::Started(started(position)),
        );
        self.ready.push(&ticket);
        self.serial += 1;
        self.streams.insert(
            id,
            Stream {
                ticket,
                watch: Some(watch),
                serial: self.serial,
                credit: asked.credit.min(STREAM_CREDIT),
                limit: outgoing::inline_limit(asked.inline_max),
                told: position.version,
                woken: false,
            },
        );
    }

    /// Gives a stream more credit; one that is not open is ignored.
    pub(crate) fn credit(&mut self, id: StreamId, add: u64) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.credit = stream.credit.saturating_add(add).min(STREAM_CREDIT);
            self.ready.push(&stream.ticket);
        }
    }

    /// Ends a stream with its final answer; false if none is open under this id.
    pub(crate) fn cancel(&mut self, id: StreamId, out: &mut BytesMut) -> bool {
        let open = self.streams.remove(&id).is_some();
        if open {
            answer(out, id, Status::Final, &wire::Empty {});
        }
        open
    }

    /// Forgets all streams: they end with the connection.
    pub(crate) fn clear(&mut self) {
        self.streams.clear();
        self.steps.abort_all();
    }

    /// Lets ready streams put items into `out` while there is room; whether anything moved.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, out: &mut BytesMut) -> bool {
        let mut moved = false;
        while let Poll::Ready(Some(ended)) = self.steps.poll_join_next(cx) {
            moved = true;
            if let Ok(Finished { id, serial, result }) = ended
                && self
                    .streams
                    .get(&id)
                    .is_some_and(|stream| stream.serial == serial)
            {
                self.stepped(id, result, out);
            }
        }
        while out.len() < OUTGOING_EVENT_BYTES && self.steps.len() < STREAM_STEPS {
            let Poll::Ready(ticket) = self.ready.poll_pop(cx) else {
                break;
            };
            moved = true;
            self.turn(ticket.id(), out);
        }
        moved
    }

    /// Gives a ready stream its turn: one step, if it has credit.
    fn turn(&mut self, id: StreamId, out: &mut BytesMut) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.watch.is_none() {
            stream.woken = true;
            return;
        }
        if stream.credit == 0 {
            return;
        }
        let Some(mut watch) = stream.watch.take() else {
            return;
        };
        let step = async move {
            let event = watch.next().await?;
            Ok((watch, event))
        };
        self.step(id, Box::pin(step), out);
    }

    /// Takes a step at once, or gives it a task if it has to wait.
    fn step(&mut self, id: StreamId, mut step: Pending<Stepped>, out: &mut BytesMut) {
        let serial = match self.streams.get(&id) {
            Some(stream) => stream.serial,
            None => return,
        };
        match at_once(&mut step) {
            Some(result) => self.stepped(id, result, out),
            None => {
                self.steps.spawn(async move {
                    Finished {
                        id,
                        serial,
                        result: step.await,
                    }
                });
            }
        }
    }

    /// Takes in the end of a step: sends the item and puts the stream in line again.
    fn stepped(&mut self, id: StreamId, result: Stepped, out: &mut BytesMut) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let (watch, event) = match result {
            Ok(done) => done,
            Err(error) => {
                self.streams.remove(&id);
                let failure = Failure::from(error);
                return write_error(out, id, failure.code, &failure.message);
            }
        };
        let position = watch.position();
        let mut again = std::mem::take(&mut stream.woken);
        if let Some(event) = event {
            stream.credit = stream.credit.saturating_sub(1);
            stream.told = position_of(event.event()).version;
            let item = outgoing::event(watch.namespace(), event.event().clone(), stream.limit);
            if !answer(out, id, Status::Item, &item) {
                self.streams.remove(&id);
                return;
            }
            again = true;
        } else if position.version.saturating_sub(stream.told) >= MARK_VERSIONS {
            stream.told = position.version;
            let position = outgoing::position(position);
            let mark = wire::Mark {
                position,
                requested: false,
            };
            answer(out, id, Status::Item, &WatchItem::Mark(mark));
        }
        stream.watch = Some(watch);
        if again {
            self.ready.push(&stream.ticket);
        }
    }
}

/// A position as a stream's item tells it.
fn started(position: Position) -> wire::Started {
    wire::Started {
        position: outgoing::position(position),
    }
}

/// The position that the client has reached with an event.
fn position_of(event: &WatchEvent) -> Position {
    match event {
        WatchEvent::Initial { position, .. } | WatchEvent::Changes { position, .. } => *position,
        WatchEvent::Gap { to, .. } => *to,
    }
}

/// Appends an answer or item to `out`; what fits no frame becomes an error, and then this is false.
fn answer<T: serde::Serialize>(out: &mut BytesMut, id: u64, status: Status, body: &T) -> bool {
    match write_answer(out, FRAME_BYTES, id, status, body) {
        Ok(()) => true,
        Err(error) => {
            write_error(out, id, ErrorCode::TooBig, &error.to_string());
            false
        }
    }
}
