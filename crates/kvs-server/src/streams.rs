//! The streams of one connection, and the pump that turns their events into items.
//!
//! A stream is data: nothing runs for it until it is ready, has credit, and the connection has room
//! for an item. Ready streams take turns of one item each. A stream whose next event must be read
//! from disk is advanced on its own task and delays no other.

use std::sync::Arc;
use std::task::{Context, Poll};

use kvs_engine::{Engine, EngineError, ErrorKind, Principal, Start, Watch};
use kvs_proto as wire;
use kvs_proto::{
    FRAME_BYTES, MARK_INTERVAL_MIN_MS, RootItem, Status, WatchItem, write_answer, write_error,
};
use tokio::task::JoinSet;

use super::account::Aside;
use super::failure::Failure;
use super::items::{encode, item, send, send_asked_mark, send_mark};
use super::marks::{MarkTimer, Millis};
use super::outbox::Outbox;
use super::ready::{ReadySet, Slot};
use super::roots::Roots;
use super::stream::{Allowance, Source, Stepped, Stream, StreamId, Waiting, step, when_created};
use super::table::Table;
use super::work::{Pending, at_once};
use super::{incoming, outgoing};
use crate::limits::{MARK_VERSIONS, MARKS_A_TURN, OUTGOING_EVENT_BYTES, STREAM_STEPS};

/// Work for a stream that was finished on a task of its own.
struct Finished<T> {
    slot: Slot,
    serial: u32,
    result: T,
}

/// All streams of one connection.
pub(crate) struct Streams {
    ready: Arc<ReadySet>,
    table: Table,
    steps: JoinSet<Finished<Stepped>>,
    /// Streams that wait for their namespace.
    absent: JoinSet<Finished<Result<Watch, EngineError>>>,
    marks: MarkTimer,
    serial: u32,
    aside: Aside,
    /// Turns before the connection polls its socket again.
    turns: usize,
}

impl Streams {
    /// An empty set of streams, with up to `turns` turns at a time.
    pub(crate) fn new(aside: Aside, turns: usize) -> Streams {
        Streams {
            ready: Arc::default(),
            table: Table::default(),
            steps: JoinSet::new(),
            absent: JoinSet::new(),
            marks: MarkTimer::new(),
            serial: 0,
            aside,
            turns,
        }
    }

    /// Number of open streams.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether a stream is open under this id.
    pub(crate) fn contains(&self, id: StreamId) -> bool {
        self.table.slot(id).is_some()
    }

    /// Opens a watch; its items are written to `out`.
    pub(crate) fn open_watch(
        &mut self,
        engine: &Engine,
        caller: Principal,
        id: StreamId,
        asked: wire::Watch,
        out: &mut Outbox,
    ) -> Result<(), Failure> {
        let mut request = incoming::watch(&asked)?;
        let slot = self.table.next_slot();
        let (sink, name) = (Arc::clone(&self.ready), asked.namespace);
        let opened = engine.watch(
            caller,
            &name,
            request.clone(),
            sink.clone(),
            u64::from(slot),
        );
        let opened = match opened {
            Ok(watch) => Some(watch),
            Err(error) if asked.wait_create && error.kind == ErrorKind::NoNamespace => None,
            Err(error) => return Err(error.into()),
        };
        let mark_every = match asked.mark_interval_ms {
            0 => 0,
            wanted => Millis::try_from(wanted.max(MARK_INTERVAL_MIN_MS)).unwrap_or(Millis::MAX),
        };
        let stream = Stream {
            limit: u32::try_from(outgoing::inline_limit(asked.inline_max)).unwrap_or(u32::MAX),
            mark_every,
            ..self.stream(id, Allowance::new(asked.credit, asked.credit_bytes))
        };
        let serial = stream.serial;
        self.table.insert(stream);
        match opened {
            Some(watch) => self.stand(slot, watch, out),
            None => {
                item(out, id, &WatchItem::Absent {});
                if request.start == Start::Now {
                    // Everything written after the namespace was created counts as after now.
                    request.start = Start::Version {
                        incarnation: None,
                        version: 1,
                    };
                }
                let (engine, token) = (engine.clone(), u64::from(slot));
                let open = when_created(engine, caller, name, request, sink, token);
                let task = self.aside.spawn(&mut self.absent, async move {
                    Finished {
                        slot,
                        serial,
                        result: open.await,
                    }
                });
                if let Some(stream) = self.table.get_mut(slot) {
                    stream.source = Some(Source::Absent {
                        _waiting: Waiting::new(task),
                    });
                }
            }
        }
        Ok(())
    }

    /// Opens a stream of root moves; its items are written to `out`.
    pub(crate) fn open_roots(
        &mut self,
        engine: &Engine,
        caller: Principal,
        id: StreamId,
        asked: &wire::SetRoot,
        out: &mut Outbox,
    ) -> Result<(), Failure> {
        let start = incoming::follow_start(asked)?;
        let slot = self.table.next_slot();
        let sink = Arc::clone(&self.ready);
        let namespace = asked.namespace.as_deref();
        let follower = engine.follow(caller, namespace, start, sink, u64::from(slot))?;
        let roots = Roots::new(follower);
        let started = wire::RootStarted {
            position: roots.position().map(outgoing::position),
            place: roots.mark().map(|place| place.to_string().into()),
        };
        let stream = Stream {
            told: roots.mark().map_or(0, |place| place.group()),
            source: Some(Source::Roots(Box::new(roots))),
            ..self.stream(id, Allowance::new(asked.credit, asked.credit_bytes))
        };
        self.table.insert(stream);
        item(out, id, &RootItem::Started(started));
        self.ready.push(slot);
        Ok(())
    }

    /// A new stream without a source.
    fn stream(&mut self, id: StreamId, allowance: Allowance) -> Stream {
        self.serial = self.serial.wrapping_add(1);
        Stream::new(id, self.serial, allowance)
    }

    /// Attaches a watch to its stream and reports where it starts.
    fn stand(&mut self, slot: Slot, watch: Watch, out: &mut Outbox) {
        let now = self.marks.now();
        let Some(stream) = self.table.get_mut(slot) else {
            return;
        };
        let position = watch.position();
        stream.source = Some(Source::Watch(Box::new(watch)));
        stream.told = position.version;
        stream.last_item = now;
        let started = wire::Started {
            position: outgoing::position(position),
        };
        item(out, stream.id, &WatchItem::Started(started));
        let mark_every = stream.mark_every;
        if mark_every > 0 {
            self.marks.within(mark_every);
        }
        self.ready.push(slot);
    }

    /// Gives a stream more credit; ignored if it is not open.
    pub(crate) fn credit(&mut self, id: StreamId, credit: wire::Credit) {
        if let Some(slot) = self.table.slot(id)
            && let Some(stream) = self.table.get_mut(slot)
        {
            stream.allowance.add(credit.add, credit.bytes);
            self.ready.push(slot);
        }
    }

    /// Sends a bookmark, at once or after the parts under way; ignored if the stream is not open.
    pub(crate) fn mark(&mut self, id: StreamId, out: &mut Outbox) {
        if let Some(slot) = self.table.slot(id)
            && let Some(stream) = self.table.get_mut(slot)
        {
            stream.mark_asked = true;
            send_asked_mark(stream, out);
        }
    }

    /// Ends a stream with its final answer; false if none is open under this id.
    pub(crate) fn cancel(&mut self, id: StreamId, out: &mut Outbox) -> bool {
        let Some(slot) = self.table.slot(id) else {
            return false;
        };
        self.table.remove(slot);
        let written = write_answer(
            out.frames(),
            FRAME_BYTES,
            id,
            Status::Final,
            &wire::Empty {},
        );
        debug_assert!(written.is_ok(), "an empty answer fits");
        true
    }

    /// Drops all streams without answers; returns their ids.
    pub(crate) fn clear(&mut self) -> Vec<StreamId> {
        self.steps.abort_all();
        self.absent.abort_all();
        std::mem::take(&mut self.table).into_ids()
    }

    /// Lets ready streams write items to `out` while there is room, up to one round of turns.
    /// Returns whether anything moved.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, out: &mut Outbox) -> bool {
        let mut moved = false;
        while let Poll::Ready(Some(ended)) = self.absent.poll_join_next(cx) {
            moved = true;
            if let Ok(finished) = ended {
                self.created(finished, out);
            }
        }
        while let Poll::Ready(Some(ended)) = self.steps.poll_join_next(cx) {
            moved = true;
            if let Ok(Finished {
                slot,
                serial,
                result,
            }) = ended
                && self.table.holds(slot, serial)
            {
                self.stepped(slot, result, out);
            }
        }
        for _ in 0..self.turns {
            if out.len() >= OUTGOING_EVENT_BYTES || self.steps.len() >= STREAM_STEPS {
                break;
            }
            let Poll::Ready(slot) = self.ready.poll_pop(cx) else {
                break;
            };
            moved = true;
            self.turn(slot, out);
        }
        if self.marks.poll(cx) {
            moved |= self.send_marks(out);
        }
        moved
    }

    /// Handles the end of a wait for a namespace.
    fn created(&mut self, finished: Finished<Result<Watch, EngineError>>, out: &mut Outbox) {
        let Finished {
            slot,
            serial,
            result,
        } = finished;
        if !self.table.holds(slot, serial) {
            return;
        }
        match result {
            Ok(watch) => self.stand(slot, watch, out),
            Err(error) => self.fail(slot, Failure::from(error), out),
        }
    }

    /// Ends a stream with an error.
    fn fail(&mut self, slot: Slot, failure: Failure, out: &mut Outbox) {
        if let Some(stream) = self.table.get_mut(slot) {
            write_error(out.frames(), stream.id, failure.code, &failure.message);
            self.table.remove(slot);
        }
    }

    /// Gives a ready stream its turn: one step if it has credit.
    fn turn(&mut self, slot: Slot, out: &mut Outbox) {
        let Some(stream) = self.table.get_mut(slot) else {
            return;
        };
        if matches!(stream.source, Some(Source::Absent { .. })) {
            return;
        }
        if !stream.allowance.is_open() {
            // An error that ended it is reported without credit.
            if let Some(Err(error)) = stream.source.as_ref().map(Source::check) {
                self.fail(slot, Failure::from(error), out);
            }
            return;
        }
        let serial = stream.serial;
        let Some(source) = stream.source.take() else {
            stream.woken = true;
            return;
        };
        let aside = self.aside.needs_place().then(|| self.aside.clone());
        let mut step: Pending<Stepped> = Box::pin(step(aside, source));
        match at_once(&mut step) {
            Some(result) => self.stepped(slot, result, out),
            None => {
                self.aside.spawn(&mut self.steps, async move {
                    Finished {
                        slot,
                        serial,
                        result: step.await,
                    }
                });
            }
        }
    }

    /// Handles the end of a step: sends the item and queues the stream again.
    fn stepped(&mut self, slot: Slot, result: Stepped, out: &mut Outbox) {
        let (source, told) = match result {
            Ok(done) => done,
            Err(error) => return self.fail(slot, Failure::from(error), out),
        };
        let now = self.marks.now();
        let Some(stream) = self.table.get_mut(slot) else {
            return;
        };
        let mut again = std::mem::take(&mut stream.woken);
        if let Some(told) = told {
            again = true;
            if stream.mark_every > 0 {
                stream.last_item = now;
            }
            let sent = encode(&source, &told, stream).and_then(|body| send(stream, &body, out));
            if let Err(failure) = sent {
                return self.fail(slot, failure, out);
            }
            stream.source = Some(source);
        } else {
            let read = source.read().unwrap_or(stream.told);
            stream.source = Some(source);
            if read.saturating_sub(stream.told) >= MARK_VERSIONS {
                send_mark(stream, false, out);
            }
        }
        send_asked_mark(stream, out);
        if again {
            self.ready.push(slot);
        }
    }

    /// Sends bookmarks to streams whose interval has passed; returns whether any stream was
    /// checked.
    fn send_marks(&mut self, out: &mut Outbox) -> bool {
        for _ in 0..MARKS_A_TURN {
            if out.len() >= OUTGOING_EVENT_BYTES {
                return false;
            }
            let Some((slot, now)) = self.marks.next(self.table.slots()) else {
                return true;
            };
            let Some(stream) = self.table.get_mut(slot) else {
                continue;
            };
            if stream.mark_every == 0 {
                continue;
            }
            self.marks.wanted(stream.mark_every);
            if now.wrapping_sub(stream.last_item) >= stream.mark_every && !stream.partial {
                stream.last_item = now;
                send_mark(stream, false, out);
            }
        }
        true
    }
}
