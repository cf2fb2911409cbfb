//! Watches, as a consumer holds them.

use crate::error::ClientError;
use crate::event::Event;
use crate::known::Known;
use crate::limits::{ASSEMBLE_BYTES, WATCH_PREFETCH};
use crate::link::{Command, Queue};
use futures_core::Stream;
use kvs_proto::{ErrorCode, Position, Scope, ScopeKind, Start};
use smol_str::SmolStr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;

/// What to watch, and how.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// Keys to watch; none is all of them.
    pub scopes: Vec<Scope>,
    /// Where to begin. Default: now.
    pub start: Start,
    /// Events fetched ahead of the consumer, at least 1.
    pub prefetch: u64,
    /// Versions of at most this many bytes are handed out whole.
    pub assemble_bytes: usize,
    /// Values longer than this many bytes come as size and blobref. `None`: the daemon's default.
    pub inline_max: Option<u64>,
}

impl Default for WatchOptions {
    fn default() -> Self {
        WatchOptions {
            scopes: Vec::new(),
            start: Start::Now,
            prefetch: WATCH_PREFETCH,
            assemble_bytes: ASSEMBLE_BYTES,
            inline_max: None,
        }
    }
}

impl WatchOptions {
    /// A watch of everything, from now.
    pub fn new() -> Self {
        WatchOptions::default()
    }

    /// Adds a scope as its text looks: a glob if it has one of `*?[`, else a key and all below it.
    pub fn scope(self, text: impl Into<SmolStr>) -> Self {
        self.add(ScopeKind::Auto, text.into())
    }

    /// Adds exactly one key.
    pub fn key(self, key: impl Into<SmolStr>) -> Self {
        self.add(ScopeKind::Key, key.into())
    }

    /// Adds a key and all below it.
    pub fn directory(self, key: impl Into<SmolStr>) -> Self {
        self.add(ScopeKind::Directory, key.into())
    }

    /// Adds a pattern.
    pub fn glob(self, pattern: impl Into<SmolStr>) -> Self {
        self.add(ScopeKind::Glob, pattern.into())
    }

    fn add(mut self, kind: ScopeKind, text: SmolStr) -> Self {
        self.scopes.push(Scope { kind, text });
        self
    }

    /// Begins elsewhere than now.
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Begins with the state, then changes.
    pub fn initial(self) -> Self {
        self.start(Start::Initial)
    }

    /// Begins with that version of the current incarnation.
    pub fn from_version(self, version: u64) -> Self {
        self.start(Start::Version {
            version,
            incarnation: None,
        })
    }

    /// Begins right after a position, as a consumer does that remembers how far it was.
    pub fn after(self, position: Position) -> Self {
        self.start(Start::Version {
            version: position.version.saturating_add(1),
            incarnation: Some(position.incarnation),
        })
    }

    /// Sets how many events are fetched ahead.
    pub fn prefetch(mut self, events: u64) -> Self {
        self.prefetch = events;
        self
    }
}

/// A watch that stands. Survives reconnects without a gap or a repetition. Dropping it ends it.
///
/// Events wait in memory up to the prefetch; beyond that the daemon waits, at no cost to anybody.
#[derive(Debug)]
pub struct WatchStream {
    id: u64,
    queue: Arc<Queue>,
    known: Arc<Known>,
    namespace: SmolStr,
    events: mpsc::UnboundedReceiver<Result<Event, ClientError>>,
    started: Position,
    last: Position,
    taken: u64,
    refill: u64,
    ended: bool,
}

impl WatchStream {
    pub(crate) fn new(
        id: u64,
        queue: Arc<Queue>,
        known: Arc<Known>,
        namespace: SmolStr,
        events: mpsc::UnboundedReceiver<Result<Event, ClientError>>,
        started: Position,
        prefetch: u64,
    ) -> Self {
        WatchStream {
            id,
            queue,
            known,
            namespace,
            events,
            started,
            last: started,
            taken: 0,
            refill: (prefetch / 2).max(1),
            ended: false,
        }
    }

    /// The next event. Waits as long as there is none; an error is final, and after it comes `ENODATA`.
    /// Safe to cancel: no event is lost.
    pub async fn next(&mut self) -> Result<Event, ClientError> {
        std::future::poll_fn(|context| self.poll_event(context))
            .await
            .unwrap_or_else(|| Err(ClientError::new(ErrorCode::NoData, "the watch has ended")))
    }

    /// Where the watch began: everything after this position is delivered.
    pub fn started(&self) -> Position {
        self.started
    }

    /// The position of the last event that was taken out; `started` before the first. To go on from here later, give it to
    /// `WatchOptions::after`.
    pub fn position(&self) -> Position {
        self.last
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    fn poll_event(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Event, ClientError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let event = match ready!(self.events.poll_recv(context)) {
            Some(Ok(event)) => event,
            Some(Err(error)) => {
                self.ended = true;
                return Poll::Ready(Some(Err(error)));
            }
            None => {
                self.ended = true;
                let closed = ClientError::disconnected("the client was closed");
                return Poll::Ready(Some(Err(closed)));
            }
        };
        // A restart is the link's own word and took no credit.
        self.taken += u64::from(!matches!(event, Event::Restart(_)));
        if self.taken >= self.refill {
            self.queue.send(Command::Credit {
                id: self.id,
                add: self.taken,
            });
            self.taken = 0;
        }
        let whole = match &event {
            Event::Initial(initial) => initial.last,
            Event::Changes(changes) => changes.last,
            Event::Gap(_) => true,
            Event::Restart(_) => false,
        };
        if let (true, Some(position)) = (whole, event.position()) {
            self.last = position;
            self.known.learn(&self.namespace, position);
        }
        Poll::Ready(Some(Ok(event)))
    }
}

impl Stream for WatchStream {
    type Item = Result<Event, ClientError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_event(context)
    }
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        self.queue.send(Command::Cancel { id: self.id });
    }
}
