//! The task that owns the connection: moves bytes, reconnects, and ends when nobody needs it.

use super::backoff::Backoff;
use super::handshake::{self, Established};
use super::queue::Link;
use crate::error::ClientError;
use crate::limits::{BACKOFF_LONGEST, HELLO_NAMESPACES};
use crate::options::Options;
use crate::pending::{Answer, Reply};
use crate::positions::KnownPositions;
use crate::transport::Connector;
use bytes::{Buf, BytesMut};
use kvs_proto::{ErrorCode, FrameCodec, Hello, ProtocolError};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

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
    known: Arc<KnownPositions>,
    link: Arc<Link>,
    /// Answers that were read together.
    answered: Vec<(Reply, Answer)>,
    /// The daemon has said that nobody will start it again when it is gone.
    temporary: bool,
    /// The present connection has answered something.
    progress: bool,
}

impl Task {
    pub(crate) fn new(
        connector: Arc<dyn Connector>,
        options: Options,
        hello: Hello,
        known: Arc<KnownPositions>,
        link: Arc<Link>,
    ) -> Self {
        Task {
            connector,
            options,
            hello,
            known,
            link,
            answered: Vec::new(),
            temporary: false,
            progress: false,
        }
    }

    /// Serves until no handle and no unanswered request is left, or reconnecting is given up.
    pub(crate) async fn run(mut self, first: Established, mut backoff: Backoff) {
        let _end = EndOnDrop(self.link.clone());
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
            let leaving = self.link.with(|outstanding| {
                outstanding.disconnected();
                outstanding.leaving
            });
            if !self.temporary {
                self.link.standing.lost();
            }
            // A daemon that only ever says that it shuts down proves nothing; one that lived a
            // while does.
            let lived = since.elapsed() >= self.options.backoff_max.saturating_mul(2);
            if lived || (self.progress && !leaving) {
                backoff.reset();
            }
            link = match self.reconnect(&mut backoff, leaving).await {
                Ok(Some(link)) => {
                    self.link.standing.restored();
                    link
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "reconnecting is given up");
                    return self.link.end(&error);
                }
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
        self.progress = false;
        self.temporary = server.temporary;
        self.link
            .with(|outstanding| outstanding.connected(server.limits.frame_bytes));
        let mut codec = FrameCodec::default();
        let (mut reader, mut writer) = tokio::io::split(transport);
        let mut out = BytesMut::new();
        let left = tokio::time::sleep(self.options.backoff_max);
        tokio::pin!(left);
        let mut leaving = false;
        loop {
            if let Err(error) = self.take_frames(&mut codec, &mut read) {
                return Ended::Lost(error.to_string());
            }
            // All that is queued meanwhile is written at once.
            let (over, leaves) = self.link.with(|outstanding| {
                if out.is_empty() {
                    outstanding.take_out(&mut out);
                }
                (outstanding.is_over(), outstanding.leaving)
            });
            if over && out.is_empty() {
                return Ended::Closed;
            }
            if leaves && !std::mem::replace(&mut leaving, true) {
                left.as_mut()
                    .reset(Instant::now() + self.options.backoff_max.min(BACKOFF_LONGEST));
            }
            tokio::select! {
                biased;
                written = writer.write(&out), if !out.is_empty() => match written {
                    Ok(0) => return Ended::Lost("the socket takes no more bytes".to_owned()),
                    Ok(count) => out.advance(count),
                    Err(error) => return Ended::Lost(error.to_string()),
                },
                () = self.link.work(), if out.is_empty() => {}
                () = &mut left, if leaving => {
                    return Ended::Lost("the daemon shuts down".to_owned());
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
        leaving: bool,
    ) -> Result<Option<Established>, ClientError> {
        if leaving {
            let Some(pause) = backoff.pause() else {
                let message = "the daemon takes no watches";
                return Err(ClientError::new(ErrorCode::Unavailable, message));
            };
            if self.meanwhile(tokio::time::sleep(pause)).await.is_none() {
                return Ok(None);
            }
        }
        loop {
            let pause = backoff.pause();
            self.hello.namespaces = self.known.namespaces();
            self.hello
                .namespaces
                .extend(self.options.namespaces.iter().cloned());
            self.hello.namespaces.sort_unstable();
            self.hello.namespaces.dedup();
            // A daemon answers for no more, and a hello has to be short.
            self.hello.namespaces.truncate(HELLO_NAMESPACES);
            let timeout = self.options.connect_timeout;
            let attempt = handshake::connect(&self.connector, &self.hello, timeout);
            let error = match self.meanwhile(attempt).await {
                Some(Ok(link)) => return Ok(Some(link)),
                Some(Err(error)) => error,
                None => return Ok(None),
            };
            match pause {
                _ if self.temporary || handshake::is_final(&error) => return Err(error),
                None => return Err(error),
                Some(pause) => {
                    if self.meanwhile(tokio::time::sleep(pause)).await.is_none() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Waits for something; `None` if nobody needs the connection any more.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            // Without a connection there is no other work.
            () = self.link.work() => None,
            done = work => Some(done),
        }
    }

    fn take_frames(
        &mut self,
        codec: &mut FrameCodec,
        read: &mut BytesMut,
    ) -> Result<(), ProtocolError> {
        loop {
            if self.link.frames(codec, read, &mut self.answered)? == 0 {
                return Ok(());
            }
            self.progress = true;
        }
    }
}

/// Tells callers that nobody serves them any more, also if the runtime drops the task.
struct EndOnDrop(Arc<Link>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0
            .end(&ClientError::disconnected("the client was closed"));
    }
}
