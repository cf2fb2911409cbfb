//! One connection from its hello to its end. The path of a put begins here.
//!
//! A session is one task with one waker. Each time it runs it moves everything that can move:
//! answers of commits, answers of slow requests, items of watches, new requests, and bytes to the
//! socket, in that order, until nothing moves. So answers are sent together, nothing is locked, and
//! every bound is a plain comparison: when too much is under way or waits to be sent, requests are
//! not taken, and the client's writes block.
//!
//! Commits enter the engine in the order in which they arrive, while they are read.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use kvs_engine::Caller;
use kvs_proto::{ErrorCode, Frame, Op, Request, write_error};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::connection::Connection;
use super::failure::Failure;
use super::greeting::{Room, greet};
use super::ops::{self, Answer, Context, Told};
use super::outgoing::VersionText;
use super::shared::{Admission, Shared};
use super::streams::Streams;
use super::uploads::Uploads;
use super::work::{Commits, Kind, Pending, Running, at_once};
use super::{incoming, outgoing};
use crate::limits::{
    HELLO_TIMEOUT, OUTGOING_BYTES, SESSION_ROUNDS, SLOW_REQUESTS_IN_FLIGHT, UPLOAD_BYTES_IN_FLIGHT,
};

/// Serves one connection until it ends. `uid` is what the kernel told for the peer.
pub(crate) async fn serve<S>(shared: Arc<Shared>, stream: S, uid: u32, admission: Admission)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut connection = Connection::new(stream);
    let context = Context {
        shared,
        caller: Caller { uid },
    };
    let ended = match timeout(HELLO_TIMEOUT, greet(&mut connection, &context, admission)).await {
        Err(_) => return tracing::debug!(uid, "no hello in time"),
        Ok(Ok(None)) => connection.flush().await,
        Ok(Ok(Some(client))) => Session::new(connection, context, client).run().await,
        Ok(Err(error)) => Err(error),
    };
    if let Err(error) = ended {
        tracing::debug!(uid, %error, "connection lost");
    }
}

/// A connection after its hello.
struct Session<S> {
    connection: Connection<S>,
    context: Context,
    client: [u8; 16],
    commits: Commits,
    running: Running,
    streams: Streams,
    uploads: Uploads,
    room: Room,
    told: Told,
    version: VersionText,
    /// Whether requests are still taken. When not, what is in work is answered, and that is the end.
    open: bool,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    fn new(connection: Connection<S>, context: Context, client: [u8; 16]) -> Session<S> {
        let room = Room::of(&context.shared, context.caller.uid);
        let stopped = Box::pin(context.shared.stop.clone().cancelled_owned());
        Session {
            connection,
            context,
            client,
            commits: Commits::default(),
            running: Running::default(),
            streams: Streams::new(),
            uploads: Uploads::default(),
            room,
            told: Told::default(),
            version: VersionText::default(),
            open: true,
            stopped,
        }
    }

    async fn run(mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Moves everything that can move, but lets other connections have their turn between; ready
    /// when the connection has ended.
    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.uploads.poll_expire(cx);
        for _ in 0..SESSION_ROUNDS {
            let mut moved = false;
            if self.open && self.stopped.as_mut().poll(cx).is_ready() {
                self.close();
            }
            let engine = &self.context.shared.engine;
            while let Poll::Ready((id, answer)) = self.commits.poll_next(cx, engine) {
                moved = true;
                let out = self.connection.out.frames();
                let answered = answer
                    .map_err(Failure::from)
                    .and_then(|done| outgoing::committed(out, id, &done, &mut self.version));
                if let Err(failure) = answered {
                    write_error(out, id, failure.code, &failure.message);
                }
            }
            while let Poll::Ready((id, answer)) = self.running.poll_next(cx) {
                moved = true;
                ops::write(self.connection.out.frames(), id, &answer);
            }
            moved |= self.streams.poll(cx, &mut self.connection.out);
            if self.open {
                moved |= self.take_requests();
            }
            if self.open && self.has_room() {
                match self.connection.poll_fill(cx) {
                    Poll::Ready(Ok(0)) => {
                        moved = true;
                        self.close();
                    }
                    Poll::Ready(Ok(_)) => moved = true,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {}
                }
            }
            match self.connection.poll_drain(cx) {
                Poll::Ready(Ok(count)) => moved |= count > 0,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {}
            }
            if !self.open && self.in_work() == 0 && self.connection.out.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if !moved {
                return Poll::Pending;
            }
            self.context.shared.activity.note();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Requests that will be answered by themselves.
    fn in_work(&self) -> usize {
        self.commits.len() + self.running.slow()
    }

    /// Whether one more request may be taken.
    fn has_room(&self) -> bool {
        self.in_work() < self.room.requests
            && self.running.slow() < SLOW_REQUESTS_IN_FLIGHT
            && self.commits.bytes() < self.room.commit_bytes
            && self.uploads.bytes() < UPLOAD_BYTES_IN_FLIGHT
            && self.connection.out.len() < OUTGOING_BYTES
    }

    /// Takes requests that were received, as far as there is room; whether there were any.
    fn take_requests(&mut self) -> bool {
        let mut taken = false;
        while self.open && self.has_room() {
            if self.take_in_place() {
                taken = true;
                continue;
            }
            match self.connection.next_frame() {
                Ok(Some(frame)) => self.take(frame),
                Ok(None) => break,
                // There is no telling which request to answer.
                Err(error) => {
                    tracing::debug!(uid = self.context.caller.uid, %error, "bad frame");
                    self.close();
                }
            }
            taken = true;
        }
        // All of them together: whoever commits is woken once.
        self.commits.enter(&self.context.shared.engine);
        taken
    }

    /// Answers the next request if it is a lookup that can be answered at once, or takes it if it is a plain commit: almost all
    /// requests are either. Whether it was.
    fn take_in_place(&mut self) -> bool {
        let Some((request, out)) = self.connection.peek() else {
            return false;
        };
        let Context { shared, caller } = &self.context;
        let taken = if request.tag == Op::Commit.code() {
            let commit = incoming::plain_commit(*caller, self.client, request.body);
            commit.map(|commit| {
                let (id, bytes) = (request.id, request.body.len());
                self.commits.push(id, bytes, commit, &shared.engine);
            })
        } else {
            ops::glimpse(&self.context, &mut self.told, &request, out)
        };
        let bytes = request.bytes;
        if taken.is_some() {
            self.connection.skip(bytes);
        }
        taken.is_some()
    }

    /// Takes one request.
    fn take(&mut self, frame: Frame) {
        let id = frame.id;
        let request = Op::from_code(frame.tag).and_then(|op| Request::decode(op, &frame.body));
        let refused = match request {
            Ok(request) => self.start(id, frame.body.len(), request),
            Err(error) => Err(Failure::from(error)),
        };
        if let Err(failure) = refused {
            write_error(
                self.connection.out.frames(),
                id,
                failure.code,
                &failure.message,
            );
        }
    }

    /// Starts what a request of so many bytes asks for. An error is its answer.
    fn start(&mut self, id: u64, bytes: usize, request: Request) -> Result<(), Failure> {
        let Context { shared, caller } = &self.context;
        match request {
            Request::Commit(commit) => {
                let engine = &shared.engine;
                let taken = self.uploads.take(&commit.operations);
                let mut commit = incoming::commit(*caller, self.client, commit)?;
                match taken {
                    Ok(none) if none.is_empty() => self.commits.push(id, bytes, commit, engine),
                    Ok(taken) => {
                        let stager = engine.clone();
                        let staged = Box::pin(async move {
                            taken.fill(&stager, &mut commit).await?;
                            stager.stage(commit).await
                        });
                        self.commits.push_staged(id, bytes, staged, engine);
                    }
                    // It may be a repeat of one that was committed.
                    Err(lost) => self.commits.settle(id, bytes, commit, lost, engine),
                }
            }
            Request::Credit(credit) => self.streams.credit(id, credit),
            Request::Mark(_) => self.streams.mark(id, &mut self.connection.out),
            Request::Cancel(_) => {
                let out = &mut self.connection.out;
                if !self.streams.cancel(id, out)
                    && !self.uploads.cancel(id)
                    && self.running.cancel(id)
                {
                    write_error(out.frames(), id, ErrorCode::Cancelled, "cancelled");
                }
            }
            Request::Watch(watch) => {
                self.check_stream(id)?;
                let out = &mut self.connection.out;
                self.streams
                    .open_watch(&shared.engine, *caller, id, watch, out)?;
            }
            Request::SetRoot(roots) => {
                self.check_stream(id)?;
                let out = &mut self.connection.out;
                self.streams
                    .open_roots(&shared.engine, *caller, id, &roots, out)?;
            }
            Request::Upload(_) => {
                self.uploads.open(shared, caller.uid, id)?;
                ops::write(self.connection.out.frames(), id, &Ok(Answer::Done));
            }
            Request::UploadData(data) => {
                let work = self.uploads.data(data)?;
                self.advance(id, Kind::Slow, work);
            }
            Request::Wait(_) => {
                self.check_stream(id)?;
                self.perform(id, Kind::Wait, request);
            }
            request => self.perform(id, Kind::Slow, request),
        }
        Ok(())
    }

    /// Whether one more stream or wait may be opened under `id`.
    fn check_stream(&self, id: u64) -> Result<(), Failure> {
        if self.streams.contains(id) || self.running.contains(id) {
            let message = format!("id {id} is in use by a request that is not answered yet");
            return Err(Failure::new(ErrorCode::BadRequest, message));
        }
        if self.streams.len() + self.running.waits() >= self.room.streams {
            let most = self.room.streams;
            let message = format!("{most} streams are open on this connection");
            return Err(Failure::new(ErrorCode::Limit, message));
        }
        Ok(())
    }

    /// Performs an operation, at once if it need not wait for anything.
    fn perform(&mut self, id: u64, kind: Kind, request: Request) {
        let context = self.context.clone();
        let work = Box::pin(async move { ops::perform(&context, request).await });
        self.advance(id, kind, work);
    }

    /// Answers at once if that is possible, else gives the work a task.
    fn advance(&mut self, id: u64, kind: Kind, mut work: Pending<Result<Answer, Failure>>) {
        match at_once(&mut work) {
            Some(answer) => ops::write(self.connection.out.frames(), id, &answer),
            None => self.running.spawn(id, kind, work),
        }
    }

    /// Takes no more requests: what is in work is still answered, and whatever would not end by
    /// itself ends with the connection.
    fn close(&mut self) {
        self.open = false;
        self.streams.clear();
        self.uploads.clear();
        self.running.cancel_waits();
    }
}
