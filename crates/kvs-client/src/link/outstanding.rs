//! Unanswered requests and streams, and the bytes to be written for them. Synchronous.
//!
//! A request is encoded when it is queued and kept until it is answered, so that it can be sent
//! again. Requests that must not be repeated fail with `outcome-unknown` when the connection is
//! lost.

use super::numbers::Numbers;
use super::slots::{ById, Slots};
use crate::error::ClientError;
use crate::limits::{FRAMES_AT_A_TIME, REPEATS_OVER_LOSSES, WRITE_BUFFER_BYTES};
use crate::pending::{Answer, Receiver, Reply, exchange};
use crate::positions::KnownPositions;
use crate::stream::StreamState;
use bytes::BytesMut;
use kvs_proto::{
    Empty, ErrorBody, ErrorCode, FRAME_BYTES, Frame, FrameCodec, Operation, Position,
    ProtocolError, Request, SHUTTING_DOWN, Status, decode_body, write_request,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio_util::codec::Decoder;

/// The first id of a request; 0 is that of `hello`.
const FIRST_ID: u64 = 1;

/// Why an upload, or the commit of one, failed.
const UPLOAD_LOST: &str =
    "the upload was lost with its connection, and nothing of it is committed: send the value again";

/// All that a connection owes to callers.
pub(crate) struct Outstanding {
    known: Arc<KnownPositions>,
    next_id: u64,
    /// Uploads of smaller ids were lost with a connection.
    kept_from: u64,
    waiting: Slots,
    pub(super) streams: ById<Box<StreamState>>,
    numbers: Numbers,
    /// What is to be sent when there is room for it, in this order.
    unsent: VecDeque<u64>,
    pub(super) frame_limit: usize,
    /// Whether there is a connection that takes requests.
    online: bool,
    /// The daemon is shutting down: the connection accepts no more requests.
    pub(crate) leaving: bool,
    /// No handle is left that could queue anything.
    pub(crate) closed: bool,
    /// There will be no connection any more.
    pub(super) ended: bool,
    /// Frames that are not written yet.
    pub(super) out: BytesMut,
    /// Answers that are not given to their callers yet.
    pub(crate) answered: Vec<(Reply, Answer)>,
    /// The task, when it waits for work.
    task: Option<Waker>,
}

impl Outstanding {
    pub(crate) fn new(known: Arc<KnownPositions>) -> Self {
        Outstanding {
            known,
            next_id: FIRST_ID,
            kept_from: FIRST_ID,
            waiting: Slots::default(),
            streams: ById::default(),
            numbers: Numbers::default(),
            unsent: VecDeque::new(),
            frame_limit: FRAME_BYTES,
            online: false,
            leaving: false,
            closed: false,
            ended: false,
            out: BytesMut::new(),
            answered: Vec::new(),
            task: None,
        }
    }

    /// Whether no handle is left and all requests are answered; watches do not count.
    pub(crate) fn is_over(&self) -> bool {
        self.closed && self.waiting.is_empty()
    }

    fn has_work(&self) -> bool {
        !self.out.is_empty() || (self.online && !self.unsent.is_empty()) || self.is_over()
    }

    /// The task, if it waits and has something to do now.
    pub(crate) fn waking(&mut self) -> Option<Waker> {
        if self.task.is_some() && self.has_work() {
            return self.task.take();
        }
        None
    }

    /// Waits until something is to be written, or nobody needs the connection.
    pub(crate) fn poll_work(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.has_work() {
            return Poll::Ready(());
        }
        self.task = Some(context.waker().clone());
        Poll::Pending
    }

    /// Gives the bytes to be written in exchange for an empty buffer.
    pub(crate) fn take_out(&mut self, written: &mut BytesMut) {
        // The memory of an unusually large burst is given back.
        if written.capacity() > WRITE_BUFFER_BYTES * 4 {
            *written = BytesMut::new();
        }
        self.send_unsent();
        std::mem::swap(&mut self.out, written);
    }

    /// There is a new connection: all that is unanswered is sent in the order in which it was
    /// queued, commits marked as repeated if a daemon may know them, watches from where they were.
    pub(crate) fn connected(&mut self, frame_limit: u64) {
        self.frame_limit = usize::try_from(frame_limit)
            .unwrap_or(FRAME_BYTES)
            .min(FRAME_BYTES);
        self.online = true;
        self.leaving = false;
        let ids = self.waiting.ids().chain(self.streams.keys().copied());
        self.unsent = ids.collect();
        self.unsent.make_contiguous().sort_unstable();
    }

    pub(super) fn take_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// Queues a request; its id, and where its answer comes.
    #[inline]
    pub(crate) fn request(&mut self, mut request: Request) -> (u64, Receiver) {
        let (reply, receiver) = exchange();
        let id = self.take_id();
        if let Request::Commit(commit) = &mut request {
            commit.number = self.numbers.begin();
        }
        self.waiting.insert(id, request, reply);
        if self.ended {
            self.answer(id, Err(given_up()));
        } else {
            self.send_in_turn(id);
        }
        (id, receiver)
    }

    /// Nobody waits for that request or stream any more.
    pub(crate) fn cancel(&mut self, id: u64) {
        let sent = match self.streams.remove(&id) {
            Some(stream) => stream.live,
            None => match self.waiting.get(id) {
                Some(waiting) if waiting.sent && self.online => true,
                // This connection does not know it, and never will.
                Some(_) => {
                    let cancelled = ClientError::new(ErrorCode::Cancelled, "");
                    return self.answer(id, Err(cancelled));
                }
                None => false,
            },
        };
        if sent {
            self.write(id, &Request::Cancel(Empty {}));
        }
    }

    /// Encodes what was queued, at once if there is room and nothing before it.
    pub(super) fn send_in_turn(&mut self, id: u64) {
        if self.online && self.unsent.is_empty() && self.out.len() < WRITE_BUFFER_BYTES {
            self.send(id);
        } else if self.online {
            self.unsent.push_back(id);
        }
    }

    fn send_unsent(&mut self) {
        while self.online
            && self.out.len() < WRITE_BUFFER_BYTES
            && let Some(id) = self.unsent.pop_front()
        {
            self.send(id);
        }
    }

    fn send(&mut self, id: u64) {
        if self.streams.contains_key(&id) {
            self.send_stream(id);
        } else {
            self.send_request(id);
        }
    }

    pub(super) fn write(&mut self, id: u64, request: &Request) {
        if let Err(error) = write_request(&mut self.out, self.frame_limit, id, request) {
            tracing::warn!(%error, id, "request not sent");
        }
    }

    fn send_request(&mut self, id: u64) {
        let acknowledged = self.numbers.acknowledged();
        let Some(waiting) = self.waiting.get_mut(id) else {
            return;
        };
        if let Request::Commit(commit) = &mut waiting.request {
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
        let written = write_request(&mut self.out, self.frame_limit, id, &waiting.request);
        match written {
            Ok(()) => (waiting.sent, waiting.carried) = (true, true),
            Err(error) => self.answer(id, Err(error.into())),
        }
    }

    fn answer(&mut self, id: u64, answer: Answer) {
        let Some((reply, number)) = self.waiting.remove(id) else {
            return;
        };
        if let Some(number) = number {
            self.numbers.answer(number);
        }
        self.answered.push((reply, answer));
    }

    /// Handles the next few received frames, at most one of a stream; returns their number.
    pub(crate) fn frames(
        &mut self,
        codec: &mut FrameCodec,
        read: &mut BytesMut,
    ) -> Result<usize, ProtocolError> {
        for taken in 0..FRAMES_AT_A_TIME {
            let Some(frame) = codec.decode(read)? else {
                return Ok(taken);
            };
            let status = Status::from_code(frame.tag)?;
            if self.streams.contains_key(&frame.id) {
                self.stream_frame(frame.id, status, &frame.body)?;
                return Ok(taken + 1);
            }
            self.frame(frame, status)?;
        }
        Ok(FRAMES_AT_A_TIME)
    }

    fn frame(
        &mut self,
        Frame { id, body, .. }: Frame,
        status: Status,
    ) -> Result<(), ProtocolError> {
        match status {
            Status::Final => self.answer(id, Ok(body)),
            Status::Error => {
                let error: ClientError = decode_body::<ErrorBody>(&body)?.into();
                let request = self.waiting.get(id).map(|waiting| &waiting.request);
                match request {
                    Some(request) if goes_on(request, &error) => self.leave(),
                    Some(request) => {
                        let error = self.explain(request, error);
                        self.answer(id, Err(error));
                    }
                    None => {}
                }
            }
            // An item of a watch that was cancelled here and not yet there.
            Status::Item => {}
        }
        Ok(())
    }

    /// The error of a request. A commit without its upload was not applied: the daemon looks for
    /// its first answer before it looks for the upload.
    fn explain(&self, request: &Request, error: ClientError) -> ClientError {
        let Request::Commit(commit) = request else {
            return error;
        };
        let is_lost = |operation: &Operation| matches!(operation, Operation::PutUpload { upload, .. } if *upload < self.kept_from);
        if error.code == ErrorCode::Invalid && commit.operations.iter().any(is_lost) {
            return ClientError::new(ErrorCode::Unavailable, UPLOAD_LOST);
        }
        error
    }

    /// A watch or wait was ended because the daemon shuts down: it goes on with the next daemon,
    /// and so does all that is queued from now on.
    pub(super) fn leave(&mut self) {
        self.online = false;
        self.leaving = true;
    }

    /// The connection is gone: what may not be repeated is answered, the rest is kept.
    pub(crate) fn disconnected(&mut self) {
        self.online = false;
        self.kept_from = self.next_id;
        self.out.clear();
        self.unsent.clear();
        self.streams
            .values_mut()
            .for_each(|stream| stream.disconnected());
        let ids: Vec<u64> = self.waiting.ids().collect();
        for id in ids {
            if let Some(error) = self.lost(id) {
                self.answer(id, Err(error));
            }
        }
    }

    /// The error that an unanswered request ends with because the connection is gone; `None` if it
    /// is sent again.
    fn lost(&mut self, id: u64) -> Option<ClientError> {
        let leaving = self.leaving;
        let waiting = self.waiting.get_mut(id)?;
        if std::mem::take(&mut waiting.carried) && !leaving {
            waiting.losses += 1;
        }
        match &waiting.request {
            Request::Upload(_) | Request::UploadData(_) => {
                Some(ClientError::new(ErrorCode::Unavailable, UPLOAD_LOST))
            }
            request if waiting.sent && !is_repeatable(request) => {
                let message = "the connection was lost before the answer came";
                Some(ClientError::new(ErrorCode::OutcomeUnknown, message))
            }
            // It lasts as long as what it waits for.
            Request::Wait(_) => None,
            request if waiting.losses > REPEATS_OVER_LOSSES => {
                let message = format!(
                    "the daemon was lost {} times while it had this request, which is not sent again: \
                     see that it does not end the daemon before you repeat it",
                    waiting.losses
                );
                let code = match request {
                    Request::Commit(_) => ErrorCode::OutcomeUnknown,
                    _ => ErrorCode::Disconnected,
                };
                Some(ClientError::new(code, message))
            }
            _ => None,
        }
    }

    /// There will be no connection any more.
    pub(crate) fn end(&mut self, error: &ClientError) {
        self.online = false;
        self.ended = true;
        for (_, stream) in self.streams.drain() {
            stream.end(error.clone());
        }
        let ids: Vec<u64> = self.waiting.ids().collect();
        for id in ids {
            let commit = self.waiting.get(id);
            let code = match commit {
                Some(commit) if commit.sent && matches!(commit.request, Request::Commit(_)) => {
                    ErrorCode::OutcomeUnknown
                }
                _ => error.code,
            };
            self.answer(id, Err(ClientError::new(code, error.message.clone())));
        }
    }
}

/// What is queued when there will be no connection any more.
pub(super) fn given_up() -> ClientError {
    ClientError::disconnected("the connection was given up")
}

/// Whether a request goes on with the next daemon, because this one ends it as it shuts down.
fn goes_on(request: &Request, error: &ClientError) -> bool {
    error.code == ErrorCode::Unavailable
        && match request {
            Request::Wait(_) => true,
            Request::List(_) | Request::Log(_) => error.message.starts_with(SHUTTING_DOWN),
            _ => false,
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
    )
}
