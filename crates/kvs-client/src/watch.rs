//! Watches, as a consumer holds them.

use crate::error::ClientError;
use crate::event::Event;
use crate::positions::KnownPositions;
use crate::receiver::EventReceiver;
use futures_core::Stream;
use kvs_proto::{ErrorCode, Position};
use smol_str::SmolStr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A watch that stands: take its events with [`recv`](Self::recv), or as a [`Stream`]. Survives
/// reconnects without a gap or a repetition. Dropping it ends it.
///
/// Events wait in memory up to the prefetch; beyond that the daemon waits, at no cost to anybody.
/// It ends with an error when its namespace is removed (`ENOTSUP`), the right to read it is
/// withdrawn (`EPERM`), or reconnecting is given up.
#[derive(Debug)]
pub struct WatchStream {
    taker: EventReceiver<Event>,
    known: Arc<KnownPositions>,
    namespace: SmolStr,
    started: Option<Position>,
    last: Option<Position>,
}

impl WatchStream {
    pub(crate) fn new(
        taker: EventReceiver<Event>,
        known: Arc<KnownPositions>,
        namespace: SmolStr,
        started: Option<Position>,
    ) -> Self {
        WatchStream {
            taker,
            known,
            namespace,
            started,
            last: started,
        }
    }

    /// Receives the next event. Waits as long as there is none; an error is final, and after it
    /// comes `ENODATA`. As a `Stream` it yields the same, and ends after an error. Cancel safe: no
    /// event is lost.
    pub async fn recv(&mut self) -> Result<Event, ClientError> {
        std::future::poll_fn(|context| self.poll_event(context))
            .await
            .unwrap_or_else(|| Err(ClientError::new(ErrorCode::NoData, "the watch has ended")))
    }

    /// Where the watch began: everything after this position is delivered. `None` if it waits for
    /// its namespace.
    pub fn started(&self) -> Option<Position> {
        self.started
    }

    /// Up to here everything was taken out or does not concern the watch; at first `started`. To go
    /// on from here later, give it to `WatchOptions::after`. Bookmarks move it on while nothing
    /// happens.
    pub fn position(&self) -> Option<Position> {
        self.last
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Asks for a bookmark: `Event::Mark` comes behind the events that are on their way, also if
    /// nothing happens.
    pub fn request_mark(&self) {
        self.taker.want_mark();
    }

    fn poll_event(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Event, ClientError>>> {
        loop {
            let entry = match ready!(self.taker.poll(context)) {
                Some(Ok(entry)) => entry,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            };
            if let Some(position) = entry.event.completes() {
                self.last = Some(position);
                self.known.learn(&self.namespace, position);
            }
            if !entry.quiet {
                return Poll::Ready(Some(Ok(entry.event)));
            }
        }
    }
}

impl Stream for WatchStream {
    type Item = Result<Event, ClientError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_event(context)
    }
}
