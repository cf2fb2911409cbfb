//! The task that owns the connection: moves bytes, reconnects, and ends when nobody needs it.

use super::backoff::Backoff;
use super::handshake::{self, Established};
use super::outstanding::Outstanding;
use super::queue::Command;
use crate::error::ClientError;
use crate::known::Known;
use crate::limits::{QUEUE_BATCH, WRITE_BUFFER_BYTES};
use crate::options::Options;
use crate::transport::Connector;
use bytes::BytesMut;
use kvs_proto::{ErrorCode, FrameCodec, Hello, ProtocolError};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::codec::Decoder;

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
    outstanding: Outstanding,
    /// No handle is left that could send commands.
    closed: bool,
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
        known: Arc<Known>,
        commands: mpsc::UnboundedReceiver<Command>,
        places: Arc<Semaphore>,
    ) -> Self {
        Task {
            connector,
            options,
            hello,
            outstanding: Outstanding::new(known.clone()),
            known,
            commands,
            places,
            closed: false,
            temporary: false,
            progress: false,
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
            self.outstanding.disconnected();
            // A daemon that only ever says that it shuts down proves nothing; one that lived a while does.
            let lived = since.elapsed() >= self.options.backoff_max.saturating_mul(2);
            if lived || (self.progress && !self.outstanding.leaving) {
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
        self.progress = false;
        self.temporary = server.temporary;
        self.outstanding.connected(server.limits.frame_bytes);
        let mut codec = FrameCodec::default();
        let (mut reader, mut writer) = tokio::io::split(transport);
        let mut batch = Vec::with_capacity(QUEUE_BATCH);
        let left = tokio::time::sleep(self.options.backoff_max);
        tokio::pin!(left);
        let mut leaving = false;
        loop {
            if let Err(error) = self.take_frames(&mut codec, &mut read) {
                return Ended::Lost(error.to_string());
            }
            if self.closed && self.outstanding.is_idle() && self.outstanding.out.is_empty() {
                return Ended::Closed;
            }
            if self.outstanding.leaving && !std::mem::replace(&mut leaving, true) {
                left.as_mut()
                    .reset(Instant::now() + self.options.backoff_max);
            }
            // All that is queued is encoded first, then written at once.
            tokio::select! {
                biased;
                count = self.commands.recv_many(&mut batch, QUEUE_BATCH),
                    if !self.closed && self.outstanding.out.len() < WRITE_BUFFER_BYTES =>
                {
                    self.closed = count == 0;
                    batch.drain(..).for_each(|command| self.outstanding.command(command));
                }
                written = writer.write_buf(&mut self.outstanding.out), if !self.outstanding.out.is_empty() => {
                    match written {
                        Ok(0) => return Ended::Lost("the socket takes no more bytes".to_owned()),
                        Ok(_) => self.outstanding.written(),
                        Err(error) => return Ended::Lost(error.to_string()),
                    }
                }
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
    ) -> Result<Option<Established>, ClientError> {
        if self.outstanding.leaving {
            let Some(pause) = backoff.pause() else {
                let message = "the daemon takes no watches";
                return Err(ClientError::new(ErrorCode::Unavailable, message));
            };
            if self.meanwhile(tokio::time::sleep(pause)).await.is_none() {
                return Ok(None);
            }
        }
        loop {
            if self.closed && self.outstanding.is_idle() {
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

    /// Waits for something while commands are taken in; `None` if nobody needs the connection any more.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Some(done),
                command = self.commands.recv(), if !self.closed => match command {
                    Some(command) => self.outstanding.command(command),
                    None => self.closed = true,
                },
            }
            if self.closed && self.outstanding.is_idle() {
                return None;
            }
        }
    }

    fn take_frames(
        &mut self,
        codec: &mut FrameCodec,
        read: &mut BytesMut,
    ) -> Result<(), ProtocolError> {
        while let Some(frame) = codec.decode(read)? {
            self.progress = true;
            self.outstanding.frame(frame)?;
        }
        Ok(())
    }

    fn give_up(mut self, error: &ClientError) {
        tracing::warn!(%error, "reconnecting is given up");
        self.places.close();
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            self.outstanding.command(command);
        }
        self.outstanding.fail(error);
    }
}
