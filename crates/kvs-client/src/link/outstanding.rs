//! What is unanswered: requests and streams, and the bytes to be written for them.
//!
//! Synchronous: the task around it moves bytes and tells of losses. Each request is kept until it is answered, so that it
//! can be sent again; those whose repetition could do something twice fail with `outcome-unknown` when the connection is
//! lost.

use super::numbers::Numbers;
use super::queue::{Command, FIRST_NUMBER, Queued};
use crate::error::ClientError;
use crate::known::Known;
use crate::limits::WRITE_BUFFER_BYTES;
use crate::stream::StreamState;
use bytes::{Bytes, BytesMut};
use kvs_proto::{
    Credit, Empty, ErrorBody, ErrorCode, FRAME_BYTES, Frame, MarkRequest, Position, ProtocolError,
    Request, Status, decode_body, write_request,
};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// An unanswered request.
struct Waiting {
    queued: Queued,
    /// Whether any daemon may have seen it.
    sent: bool,
    /// Of a commit: the newest position known when it was first sent.
    known: Option<Position>,
}

impl Waiting {
    fn is_wait(&self) -> bool {
        matches!(self.queued.request, Request::Wait(_))
    }
}

/// By the ids of this client, which rise by one: no stranger chooses them, so a plain hash will do.
type ById<T> = HashMap<u64, T, BuildHasherDefault<IdHasher>>;

/// Spreads ids that follow one another.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = (self.0 ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// All that a connection owes to callers.
pub(crate) struct Outstanding {
    known: Arc<Known>,
    waiting: ById<Waiting>,
    streams: ById<Box<StreamState>>,
    numbers: Numbers,
    frame_limit: usize,
    /// Whether there is a connection that takes requests.
    online: bool,
    /// The daemon has said that it is shutting down: the connection takes no more requests and will be lost.
    pub(crate) leaving: bool,
    /// Frames that are not written yet.
    pub(crate) out: BytesMut,
}

impl Outstanding {
    pub(crate) fn new(known: Arc<Known>) -> Self {
        Outstanding {
            known,
            waiting: ById::default(),
            streams: ById::default(),
            numbers: Numbers::new(FIRST_NUMBER),
            frame_limit: FRAME_BYTES,
            online: false,
            leaving: false,
            out: BytesMut::new(),
        }
    }

    /// Whether all requests are answered; watches do not count.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Bytes were written: the memory of an unusually large burst is given back.
    pub(crate) fn written(&mut self) {
        if self.out.is_empty() && self.out.capacity() > WRITE_BUFFER_BYTES * 4 {
            self.out = BytesMut::new();
        }
    }

    /// There is a new connection: all that is unanswered is sent in the order in which it was queued, commits marked as
    /// repeated if a daemon may know them, watches from where they were.
    pub(crate) fn connected(&mut self, frame_limit: u64) {
        self.frame_limit = usize::try_from(frame_limit)
            .unwrap_or(FRAME_BYTES)
            .min(FRAME_BYTES);
        self.online = true;
        self.leaving = false;
        let mut ids: Vec<u64> = self
            .waiting
            .keys()
            .chain(self.streams.keys())
            .copied()
            .collect();
        ids.sort_unstable();
        for id in ids {
            if self.streams.contains_key(&id) {
                self.send_stream(id);
            } else {
                self.send_request(id);
            }
        }
    }

    /// Takes in what callers want.
    pub(crate) fn command(&mut self, command: Command) {
        match command {
            Command::Request(queued) => {
                if let Request::Commit(_) = queued.request {
                    self.numbers.begin();
                }
                let id = queued.id;
                self.waiting.insert(
                    id,
                    Waiting {
                        queued,
                        sent: false,
                        known: None,
                    },
                );
                if self.online {
                    self.send_request(id);
                }
            }
            Command::Stream { id, state } => {
                self.streams.insert(id, state);
                if self.online {
                    self.send_stream(id);
                }
            }
            Command::Taken { id, cost } => {
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.taken(cost);
                    self.give_credit(id);
                }
            }
            Command::Mark { id } => {
                let Some(stream) = self.streams.get_mut(&id) else {
                    return;
                };
                stream.want_mark();
                if stream.live {
                    self.write(id, &Request::Mark(MarkRequest {}));
                }
            }
            Command::Cancel { id } => self.cancel(id),
        }
    }

    fn cancel(&mut self, id: u64) {
        let sent = match self.streams.remove(&id) {
            Some(stream) => stream.live,
            None => match self.waiting.get(&id) {
                Some(waiting) if waiting.sent => true,
                // Not sent yet: it never will be.
                Some(_) => return drop(self.waiting.remove(&id)),
                None => false,
            },
        };
        if sent {
            self.write(id, &Request::Cancel(Empty {}));
        }
    }

    fn write(&mut self, id: u64, request: &Request) {
        if let Err(error) = write_request(&mut self.out, self.frame_limit, id, request) {
            tracing::warn!(%error, id, "request not sent");
        }
    }

    fn send_stream(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let request = stream.request();
        match write_request(&mut self.out, self.frame_limit, id, &request) {
            Ok(()) => {
                stream.live = true;
                if stream.wants_mark() {
                    self.write(id, &Request::Mark(MarkRequest {}));
                }
            }
            Err(error) => {
                if let Some(stream) = self.streams.remove(&id) {
                    stream.end(error.into());
                }
            }
        }
    }

    /// Gives a stream the credit that it lacks.
    fn give_credit(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| stream.live) else {
            return;
        };
        let grant = stream.grant();
        if !grant.is_zero() {
            let credit = Credit {
                add: grant.events,
                bytes: grant.bytes,
            };
            self.write(id, &Request::Credit(credit));
        }
    }

    fn send_request(&mut self, id: u64) {
        let acknowledged = self.numbers.acknowledged();
        let Some(waiting) = self.waiting.get_mut(&id) else {
            return;
        };
        if let Request::Commit(commit) = &mut waiting.queued.request {
            commit.acknowledged = acknowledged;
            if waiting.sent {
                let unknown = Position {
                    incarnation: 0,
                    version: 0,
                };
                commit.repeat = Some(waiting.known.unwrap_or(unknown));
            } else {
                waiting.known = self.known.get(&commit.namespace);
            }
        }
        let written = write_request(&mut self.out, self.frame_limit, id, &waiting.queued.request);
        match written {
            Ok(()) => waiting.sent = true,
            Err(error) => self.answer(id, Err(error.into())),
        }
    }

    fn answer(&mut self, id: u64, answer: Result<Bytes, ClientError>) {
        let Some(Waiting { queued, .. }) = self.waiting.remove(&id) else {
            return;
        };
        if let Request::Commit(commit) = &queued.request {
            self.numbers.answer(commit.number);
        }
        drop(queued.place);
        let _ = queued.reply.send(answer);
    }

    /// Takes in what the daemon says.
    pub(crate) fn frame(&mut self, Frame { id, tag, body }: Frame) -> Result<(), ProtocolError> {
        let status = Status::from_code(tag)?;
        if self.streams.contains_key(&id) {
            return self.stream_frame(id, status, &body);
        }
        match status {
            Status::Final => self.answer(id, Ok(body)),
            Status::Error => {
                let error: ClientError = decode_body::<ErrorBody>(&body)?.into();
                let waits = self.waiting.get(&id).is_some_and(Waiting::is_wait);
                if waits && error.code == ErrorCode::Unavailable {
                    self.leave();
                } else {
                    self.answer(id, Err(error));
                }
            }
            // An item of a watch that was cancelled here and not yet there.
            Status::Item => {}
        }
        Ok(())
    }

    fn stream_frame(&mut self, id: u64, status: Status, body: &Bytes) -> Result<(), ProtocolError> {
        if status == Status::Item {
            let taken = self.streams.get_mut(&id).map(|stream| stream.item(body));
            let Some(Err(error)) = taken else {
                self.give_credit(id);
                return Ok(());
            };
            if let Some(stream) = self.streams.remove(&id) {
                stream.end(error);
            }
            self.write(id, &Request::Cancel(Empty {}));
            return Ok(());
        }
        let error: Option<ClientError> = match status {
            Status::Error => Some(decode_body::<ErrorBody>(body)?.into()),
            _ => None,
        };
        if error
            .as_ref()
            .is_some_and(|error| error.code == ErrorCode::Unavailable)
        {
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.disconnected();
            }
            self.leave();
            return Ok(());
        }
        match (self.streams.remove(&id), error) {
            (Some(stream), Some(error)) => stream.end(error),
            (Some(stream), None) => stream.finish(),
            (None, _) => {}
        }
        Ok(())
    }

    /// A watch or wait was ended because the daemon shuts down: it goes on with the next daemon, and so does all that is
    /// queued from now on.
    fn leave(&mut self) {
        self.online = false;
        self.leaving = true;
    }

    /// The connection is gone: what may not be repeated is answered, the rest is kept.
    pub(crate) fn disconnected(&mut self) {
        self.online = false;
        self.out.clear();
        self.streams
            .values_mut()
            .for_each(|stream| stream.disconnected());
        let lost: Vec<u64> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.sent && !is_repeatable(&waiting.queued.request))
            .map(|(id, _)| *id)
            .collect();
        for id in lost {
            let message = "the connection was lost before the answer came";
            self.answer(
                id,
                Err(ClientError::new(ErrorCode::OutcomeUnknown, message)),
            );
        }
    }

    /// There will be no connection any more.
    pub(crate) fn fail(mut self, error: &ClientError) {
        for (_, stream) in self.streams.drain() {
            stream.end(error.clone());
        }
        for (_, waiting) in self.waiting.drain() {
            let code = match waiting.queued.request {
                Request::Commit(_) if waiting.sent => ErrorCode::OutcomeUnknown,
                _ => error.code,
            };
            let _ = waiting
                .queued
                .reply
                .send(Err(ClientError::new(code, error.message.clone())));
        }
    }
}

/// Whether a request may reach the daemon twice: reads, and commits, which have their number.
fn is_repeatable(request: &Request) -> bool {
    !matches!(
        request,
        Request::Pin(_)
            | Request::Unpin(_)
            | Request::NamespaceCreate(_)
            | Request::NamespaceRemove(_)
            | Request::NamespaceChown(_)
            // An upload is lost with its connection.
            | Request::Upload(_)
            | Request::UploadData(_)
    )
}
