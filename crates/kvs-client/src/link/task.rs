//! The task that owns the connection.
//!
//! It keeps every request until it is answered. After a loss it says hello under the same client id and sends what is
//! unanswered again in the old order, commits marked as repeated, and watches from where they were. Requests whose
//! repetition could do something twice fail with `outcome-unknown` instead.

use super::backoff::Backoff;
use super::handshake::{self, Established};
use super::numbers::Numbers;
use super::queue::{Command, FIRST_NUMBER, Queued};
use crate::error::ClientError;
use crate::known::Known;
use crate::limits::{QUEUE_BATCH, WRITE_BUFFER_BYTES};
use crate::options::Options;
use crate::stream::StreamState;
use crate::transport::Connector;
use bytes::BytesMut;
use kvs_proto::{
    Credit, Empty, ErrorBody, ErrorCode, FRAME_BYTES, Frame, FrameCodec, Hello, Position,
    ProtocolError, Request, Status, WatchItem, decode_body, write_request,
};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::codec::Decoder;

/// An unanswered request.
struct Waiting {
    queued: Queued,
    /// Whether any daemon may have seen it.
    sent: bool,
    /// Of a commit: the newest position known when it was first sent.
    known: Option<Position>,
}

/// Why a connection is not served any more.
enum Ended {
    /// Nobody needs it.
    Closed,
    /// It was lost.
    Lost(String),
}

pub(crate) struct Task {
    connector: Arc<dyn Connector>,
    options: Options,
    hello: Hello,
    known: Arc<Known>,
    commands: mpsc::UnboundedReceiver<Command>,
    places: Arc<Semaphore>,
    waiting: HashMap<u64, Waiting>,
    streams: HashMap<u64, Box<StreamState>>,
    numbers: Numbers,
    frame_limit: usize,
    /// No handle is left that could send commands.
    closed: bool,
    /// The present connection has answered something.
    progress: bool,
    out: BytesMut,
}

impl Task {
    pub(crate) fn new(
        connector: Arc<dyn Connector>,
        options: Options,
        hello: Hello,
        known: Arc<Known>,
        commands: mpsc::UnboundedReceiver<Command>,
        places: Arc<Semaphore>,
    ) -> Self {
        Task {
            connector,
            options,
            hello,
            known,
            commands,
            places,
            waiting: HashMap::new(),
            streams: HashMap::new(),
            numbers: Numbers::new(FIRST_NUMBER),
            frame_limit: FRAME_BYTES,
            closed: false,
            progress: false,
            out: BytesMut::new(),
        }
    }

    /// Serves until no handle and no unanswered request is left, or reconnecting is given up.
    pub(crate) async fn run(mut self, first: Established, mut backoff: Backoff) {
        let mut link = first;
        loop {
            let since = Instant::now();
            let Ended::Lost(reason) = self.serve(link).await else {
                return;
            };
            tracing::debug!(
                address = self.connector.address(),
                reason,
                "connection lost"
            );
            self.disconnected();
            if self.progress || since.elapsed() >= self.options.backoff_max {
                backoff.reset();
            }
            link = match self.reconnect(&mut backoff).await {
                Ok(Some(link)) => link,
                Ok(None) => return,
                Err(error) => return self.give_up(&error),
            };
        }
    }

    async fn serve(&mut self, link: Established) -> Ended {
        let Established {
            transport,
            mut read,
            server,
        } = link;
        for at in &server.positions {
            self.known.learn(&at.namespace, at.position);
        }
        self.frame_limit = usize::try_from(server.limits.frame_bytes)
            .unwrap_or(FRAME_BYTES)
            .min(FRAME_BYTES);
        self.progress = false;
        self.out.clear();
        self.send_again();
        let mut codec = FrameCodec::default();
        let (mut reader, mut writer) = tokio::io::split(transport);
        let mut batch = Vec::with_capacity(QUEUE_BATCH);
        loop {
            if let Err(error) = self.take_frames(&mut codec, &mut read) {
                return Ended::Lost(error.to_string());
            }
            if self.closed && self.waiting.is_empty() && self.out.is_empty() {
                return Ended::Closed;
            }
            // All that is queued is encoded first, then written at once.
            tokio::select! {
                biased;
                count = self.commands.recv_many(&mut batch, QUEUE_BATCH),
                    if !self.closed && self.out.len() < WRITE_BUFFER_BYTES =>
                {
                    self.closed = count == 0;
                    batch.drain(..).for_each(|command| self.command(command, true));
                }
                written = writer.write_buf(&mut self.out), if !self.out.is_empty() => {
                    match written {
                        Ok(0) => return Ended::Lost("the socket takes no more bytes".to_owned()),
                        Ok(_) => {}
                        Err(error) => return Ended::Lost(error.to_string()),
                    }
                }
                count = reader.read_buf(&mut read) => match count {
                    Ok(0) => return Ended::Lost("the daemon closed it".to_owned()),
                    Ok(_) => {}
                    Err(error) => return Ended::Lost(error.to_string()),
                },
            }
        }
    }

    async fn reconnect(
        &mut self,
        backoff: &mut Backoff,
    ) -> Result<Option<Established>, ClientError> {
        loop {
            if self.closed && self.waiting.is_empty() {
                return Ok(None);
            }
            let pause = backoff.pause();
            self.hello.namespaces = self.known.namespaces();
            self.hello
                .namespaces
                .extend(self.options.namespaces.iter().cloned());
            self.hello.namespaces.sort_unstable();
            self.hello.namespaces.dedup();
            let timeout = self.options.connect_timeout;
            let attempt = handshake::connect(&self.connector, &self.hello, timeout);
            let error = match self.meanwhile(attempt).await {
                Some(Ok(link)) => return Ok(Some(link)),
                Some(Err(error)) => error,
                None => return Ok(None),
            };
            match pause {
                _ if handshake::is_final(&error) => return Err(error),
                None => return Err(error),
                Some(pause) => {
                    if self.meanwhile(tokio::time::sleep(pause)).await.is_none() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Waits for something while commands are taken in; `None` if nobody needs the connection any more.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Some(done),
                command = self.commands.recv(), if !self.closed => match command {
                    Some(command) => self.command(command, false),
                    None => self.closed = true,
                },
            }
            if self.closed && self.waiting.is_empty() {
                return None;
            }
        }
    }

    fn command(&mut self, command: Command, online: bool) {
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
                if online {
                    self.send_request(id);
                }
            }
            Command::Watch { id, state } => {
                self.streams.insert(id, state);
                if online {
                    self.send_watch(id);
                }
            }
            Command::Credit { id, add } => {
                let Some(stream) = self.streams.get_mut(&id) else {
                    return;
                };
                stream.returned(add);
                if stream.live {
                    self.write(id, &Request::Credit(Credit { add }));
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

    fn send_again(&mut self) {
        let mut ids: Vec<u64> = self
            .waiting
            .keys()
            .chain(self.streams.keys())
            .copied()
            .collect();
        ids.sort_unstable();
        for id in ids {
            if self.streams.contains_key(&id) {
                self.send_watch(id);
            } else {
                self.send_request(id);
            }
        }
    }

    fn send_watch(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let request = Request::Watch(stream.request());
        match write_request(&mut self.out, self.frame_limit, id, &request) {
            Ok(()) => stream.live = true,
            Err(error) => {
                if let Some(stream) = self.streams.remove(&id) {
                    stream.end(error.into());
                }
            }
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

    fn answer(&mut self, id: u64, answer: Result<bytes::Bytes, ClientError>) {
        let Some(Waiting { queued, .. }) = self.waiting.remove(&id) else {
            return;
        };
        if let Request::Commit(commit) = &queued.request {
            self.numbers.answer(commit.number);
        }
        drop(queued.place);
        let _ = queued.reply.send(answer);
    }

    fn take_frames(
        &mut self,
        codec: &mut FrameCodec,
        read: &mut BytesMut,
    ) -> Result<(), ProtocolError> {
        while let Some(frame) = codec.decode(read)? {
            self.progress = true;
            self.frame(frame)?;
        }
        Ok(())
    }

    fn frame(&mut self, Frame { id, tag, body }: Frame) -> Result<(), ProtocolError> {
        let status = Status::from_code(tag)?;
        if self.streams.contains_key(&id) {
            return self.stream_frame(id, status, &body);
        }
        match status {
            Status::Final => self.answer(id, Ok(body)),
            Status::Error => self.answer(id, Err(decode_body::<ErrorBody>(&body)?.into())),
            // An item of a watch that was cancelled here and not yet there.
            Status::Item => {}
        }
        Ok(())
    }

    fn stream_frame(
        &mut self,
        id: u64,
        status: Status,
        body: &bytes::Bytes,
    ) -> Result<(), ProtocolError> {
        if status == Status::Item {
            let item: WatchItem = decode_body(body)?;
            let credit = self
                .streams
                .get_mut(&id)
                .map_or(0, |stream| stream.item(item));
            if credit > 0 {
                self.write(id, &Request::Credit(Credit { add: credit }));
            }
            return Ok(());
        }
        let ended = match status {
            Status::Error => Some(decode_body::<ErrorBody>(body)?.into()),
            _ => None,
        };
        match (self.streams.remove(&id), ended) {
            (Some(stream), Some(error)) => stream.end(error),
            (Some(stream), None) => stream.finish(),
            (None, _) => {}
        }
        Ok(())
    }

    /// The connection is gone: what may not be repeated is answered, the rest is kept.
    fn disconnected(&mut self) {
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

    fn give_up(mut self, error: &ClientError) {
        tracing::warn!(%error, "reconnecting is given up");
        self.places.close();
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            self.command(command, false);
        }
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
    )
}
