//! One connection from its hello to its end. The path of a put begins here.
//!
//! A session is one task with one waker. Each time it runs it moves everything that can move, in
//! this order, until nothing moves: answers of commits, answers of slow requests, items of watches,
//! new requests, and bytes to the socket. So answers are sent together, nothing is locked, and
//! every limit is a plain comparison: when too much is in flight or waits to be sent, no requests
//! are taken and the client's writes block.
//!
//! Commits enter the engine in the order in which they arrive.

mod holding;
mod peer;
mod requests;

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use kvs_engine::{Principal, Token};
use kvs_proto::{ErrorCode, Op, Request, SHUTTING_DOWN, write_error};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, timeout};

use super::account::{Account, Aside, Held};
use super::connection::Connection;
use super::failure::Failure;
use super::gate::Gated;
use super::greeting::{Room, greet};
use super::ops::{self, Context};
use super::outgoing;
use super::shared::{Admission, Shared};
use super::streams::Streams;
use super::uploads::Uploads;
use super::work::{Commits, Kind, Running};
use crate::limits::{HELLO_BYTES, HELLO_TIMEOUT};

/// Serves one connection until it ends. `principal` was identified by the listener; `gone` returns
/// whether the peer no longer receives answers.
pub(crate) async fn serve<S>(
    shared: Arc<Shared>,
    (stream, gone): (S, fn(&S) -> bool),
    principal: Principal,
    admission: Admission,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let account = shared.account(principal);
    let gate = account.gate.clone();
    let conversation = converse(shared, (stream, gone), principal, admission, account);
    match gate {
        None => conversation.await,
        // All connections of a guest share one gate.
        Some(gate) => Gated::new(gate, conversation).await,
    }
}

async fn converse<S>(
    shared: Arc<Shared>,
    (stream, gone): (S, fn(&S) -> bool),
    principal: Principal,
    admission: Admission,
    account: Arc<Account>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut connection = Connection::before_hello(stream, HELLO_BYTES);
    let context = Context {
        shared,
        caller: principal,
    };
    let stopped = context.shared.stop.clone();
    let greeting = timeout(HELLO_TIMEOUT, greet(&mut connection, &context, admission));
    let Some(greeted) = stopped.run_until_cancelled(greeting).await else {
        return tracing::debug!(
            uid = principal.uid(),
            "no hello before the daemon shuts down"
        );
    };
    let ended = match greeted {
        Err(_) => return tracing::debug!(uid = principal.uid(), "no hello in time"),
        Ok(Ok(None)) => connection.flush().await,
        Ok(Ok(Some(client))) => {
            let session = Session::new(connection, context, client, account, gone);
            session.run().await
        }
        Ok(Err(error)) => Err(error),
    };
    if let Err(error) = ended {
        tracing::debug!(uid = principal.uid(), %error, "connection lost");
    }
}

/// A connection after its handshake.
struct Session<S> {
    connection: Connection<S>,
    context: Context,
    client: [u8; 16],
    commits: Commits,
    running: Running,
    streams: Streams,
    uploads: Uploads,
    room: Room,
    account: Arc<Account>,
    aside: Aside,
    /// What is recorded on the account.
    held: Held,
    /// A request that waits for room for its answer; no request is taken after it.
    parked: Option<(u64, usize, Request)>,
    /// Bytes of the long frame that is being received.
    incoming: usize,
    /// The deadline for the complete frame.
    frame_end: Option<Pin<Box<Sleep>>>,
    /// Runs until the user may write more.
    pause: Option<Pin<Box<Sleep>>>,
    /// Requests that may still be taken in this turn.
    turn: usize,
    /// Whether the peer no longer receives answers.
    gone: fn(&S) -> bool,
    /// Runs until the next check of the peer.
    look: Option<Pin<Box<Sleep>>>,
    /// Whether requests are still taken. If not, the connection ends once requests in flight are
    /// answered.
    open: bool,
    /// Whether the daemon shuts down.
    stopping: bool,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<S> Drop for Session<S> {
    fn drop(&mut self) {
        self.account.record(&mut self.held, Held::default());
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    fn new(
        connection: Connection<S>,
        context: Context,
        client: [u8; 16],
        account: Arc<Account>,
        gone: fn(&S) -> bool,
    ) -> Session<S> {
        let room = Room::of(&context.shared, context.caller);
        let stopped = Box::pin(context.shared.stop.clone().cancelled_owned());
        let aside = Aside::new(&account);
        let (_, _, stream_turns) = room.turn;
        Session {
            connection,
            context,
            client,
            commits: Commits::default(),
            running: Running::default(),
            streams: Streams::new(aside.clone(), stream_turns),
            uploads: Uploads::default(),
            room,
            account,
            aside,
            held: Held::default(),
            parked: None,
            incoming: 0,
            frame_end: None,
            pause: None,
            turn: 0,
            gone,
            look: None,
            open: true,
            stopping: false,
            stopped,
        }
    }

    async fn run(mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Moves everything that can move, yielding to other connections in between. Ready when the
    /// connection has ended.
    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        self.uploads.poll_expire(cx);
        self.poll_pause(cx);
        if self.poll_frame_end(cx) {
            tracing::debug!(
                uid = self.context.caller.uid(),
                "a frame did not arrive in time"
            );
            return Poll::Ready(Ok(()));
        }
        self.poll_peer(cx);
        let (requests, rounds, _) = self.room.turn;
        self.turn = requests;
        for _ in 0..rounds {
            let mut moved = false;
            if !self.stopping && self.stopped.as_mut().poll(cx).is_ready() {
                self.stopping = true;
                self.end();
                self.close();
            }
            let engine = &self.context.shared.engine;
            while let Poll::Ready((token, answer)) = self.commits.poll_next(cx, engine) {
                moved = true;
                let out = self.connection.out.frames();
                let Token { id, root, .. } = token;
                let answered = answer
                    .map_err(Failure::from)
                    .and_then(|done| outgoing::committed(out, id, &done, root));
                if let Err(failure) = answered {
                    write_error(out, id, failure.code, &failure.message);
                }
            }
            while let Poll::Ready((id, answer)) = self.running.poll_next(cx) {
                moved = true;
                ops::write(&mut self.connection.out, id, &answer);
            }
            moved |= self.streams.poll(cx, &mut self.connection.out);
            if self.open {
                moved |= self.take_requests();
            }
            if self.open && self.has_room() && self.admits_frame() {
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
                self.rest(cx);
                return Poll::Pending;
            }
            self.context.shared.activity.note();
            if self.turn == 0 {
                break;
            }
        }
        self.record();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Requests that will be answered without further input.
    fn in_work(&self) -> usize {
        self.commits.len() + self.running.slow()
    }

    /// Answers everything that would not end soon by itself with the shutdown error, and also the
    /// received frames of uploads, which end with this daemon. Clients resend other requests.
    fn end(&mut self) {
        let streams = self.streams.clear();
        let waits = self.running.cancel_all(Kind::Wait);
        let walks = self.running.cancel_all(Kind::Walk);
        for id in streams.into_iter().chain(waits).chain(walks) {
            let out = self.connection.out.frames();
            write_error(out, id, ErrorCode::Unavailable, SHUTTING_DOWN);
        }
        while let Ok(Some(frame)) = self.connection.next_frame() {
            if matches!(Op::from_code(frame.tag), Ok(Op::Upload | Op::UploadData)) {
                let out = self.connection.out.frames();
                let message =
                    "the daemon shuts down, and the upload ends with it: send the value again";
                write_error(out, frame.id, ErrorCode::Unavailable, message);
            }
        }
    }

    /// Stops taking requests. Requests in flight are still answered; everything that would not end
    /// by itself is dropped.
    fn close(&mut self) {
        self.open = false;
        self.parked = None;
        self.streams.clear();
        self.uploads.clear();
        self.running.cancel_all(Kind::Wait);
    }
}
