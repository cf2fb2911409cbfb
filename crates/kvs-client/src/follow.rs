//! Root moves, as a consumer holds them.

use crate::client::Client;
use crate::error::ClientError;
use crate::following::FollowState;
use crate::inbox::inbox;
use crate::limits::{WATCH_PREFETCH, WATCH_PREFETCH_BYTES};
use crate::prefetch::Cost;
use crate::receiver::EventReceiver;
use crate::root_event::{RootEvent, RootStarted};
use crate::stream::Kind;
use futures_core::Stream;
use kvs_proto::{ErrorCode, Position, SetRoot, Start};
use smol_str::SmolStr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;

/// Which root moves to follow. The default is those of all namespaces, from now.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct FollowOptions {
    /// The namespace. `None`: all that this user may read, those made later included.
    pub namespace: Option<SmolStr>,
    /// Where to begin. Default: now.
    pub start: Start,
    /// The place of an event, to begin right behind it instead.
    pub place: Option<SmolStr>,
}

impl FollowOptions {
    /// All namespaces, from now.
    pub fn new() -> Self {
        FollowOptions::default()
    }

    /// One namespace.
    pub fn namespace(mut self, name: impl Into<SmolStr>) -> Self {
        self.namespace = Some(name.into());
        self
    }

    /// Begins right after a position; for one namespace.
    pub fn after(mut self, position: Position) -> Self {
        self.start = Start::Version {
            version: position.version.saturating_add(1),
            incarnation: Some(position.incarnation),
        };
        self
    }

    /// Begins right behind an event, whose place that is: of an earlier stream, perhaps of another
    /// process, of the same scope. Nothing is missed and nothing comes twice, unless it says so by
    /// a `State` with `lost`.
    pub fn behind(mut self, place: impl Into<SmolStr>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// Begins with how things stand.
    pub fn initial(mut self) -> Self {
        self.start = Start::Initial;
        self
    }
}

/// A stream of root moves that stands: take its events with [`recv`](Self::recv), or as a
/// [`Stream`]. Survives reconnects, and restarts of the daemon: it goes on right behind the last
/// event; if it cannot, as the daemon does not retain what came then, it says so by a `State` with
/// `lost`. Dropping it ends it. That of one namespace ends with `ENOTSUP` when it is removed.
#[derive(Debug)]
pub struct FollowStream {
    taker: EventReceiver<RootEvent>,
    started: RootStarted,
}

impl Client {
    /// Follows the moves of roots: which root replaced which, by which transactions, and the keys
    /// they touched; and namespaces that are made and removed. It stands when this returns.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
    /// # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
    /// # let client = kvs_client::Client::connect(&uri.parse()?).await?;
    /// use kvs_client::{FollowOptions, RootEvent};
    /// let mut roots = client.follow(FollowOptions::new().namespace("primary")).await?;
    /// client.namespace("primary").put("doc.follow.a", "1").await?;
    /// if let RootEvent::Moved(moved) = roots.recv().await? {
    ///     println!("{} -> {}", moved.previous, moved.root);
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn follow(&self, options: FollowOptions) -> Result<FollowStream, ClientError> {
        let limits = self.server().limits;
        let prefetch = Cost {
            events: WATCH_PREFETCH.min(limits.stream_credit.max(1)),
            bytes: WATCH_PREFETCH_BYTES.min(limits.stream_credit_bytes.max(1)),
        };
        let asked = SetRoot {
            namespace: options.namespace,
            start: options.start,
            place: options.place,
            ..SetRoot::default()
        };
        let (sender, receiver) = inbox();
        let (opened, standing) = oneshot::channel();
        let state = FollowState::new(asked, prefetch, sender, opened);
        let (id, started) = self
            .queue
            .stream(Kind::Follow(Box::new(state)), standing)
            .await?;
        Ok(FollowStream {
            taker: EventReceiver::new(id, self.queue.clone(), receiver, prefetch, false),
            started,
        })
    }
}

impl FollowStream {
    /// Receives the next event. Waits as long as there is none; an error is final, and after it
    /// comes `ENODATA`. As a `Stream` it yields the same, and ends after an error. Cancel safe: no
    /// event is lost.
    pub async fn recv(&mut self) -> Result<RootEvent, ClientError> {
        std::future::poll_fn(|context| self.poll_event(context))
            .await
            .unwrap_or_else(|| Err(ClientError::new(ErrorCode::NoData, "the stream has ended")))
    }

    /// Where the stream began.
    pub fn started(&self) -> &RootStarted {
        &self.started
    }

    fn poll_event(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<RootEvent, ClientError>>> {
        let entry = ready!(self.taker.poll(context));
        Poll::Ready(entry.map(|entry| entry.map(|entry| entry.event)))
    }
}

impl Stream for FollowStream {
    type Item = Result<RootEvent, ClientError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_event(context)
    }
}
