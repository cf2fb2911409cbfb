//! One open stream: a source of events, and the credit of its client.
//!
//! An idle stream is only these few words and its source: no queue, buffer, task or timer.

use std::sync::Arc;

use kvs_engine::{
    Engine, EngineError, ErrorKind, Place, Position, Principal, SharedEvent, WakeSink, Watch,
    WatchRequest,
};
use kvs_proto::{RootItem, STREAM_CREDIT, STREAM_CREDIT_BYTES};
use smol_str::SmolStr;
use tokio::task::AbortHandle;

use super::account::Aside;
use super::marks::Millis;
use super::roots::Roots;

/// Identifies a stream within its connection: the id of the request that opened it.
pub(crate) type StreamId = u64;

/// Where a stream's items come from.
pub(crate) enum Source {
    /// A watch.
    Watch(Box<Watch>),
    /// Root moves.
    Roots(Box<Roots>),
    /// A watch that waits for its namespace to be created.
    Absent {
        /// Keeps the waiting task alive.
        _waiting: Waiting,
    },
}

/// A task that waits for a stream; aborted on drop.
pub(crate) struct Waiting(AbortHandle);

impl Waiting {
    /// Takes ownership of a task.
    pub(crate) fn new(task: AbortHandle) -> Waiting {
        Waiting(task)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A position to resume from.
pub(crate) enum Bookmark {
    /// A watch.
    Watch(Position),
    /// Root moves.
    Roots(Place),
}

impl Bookmark {
    /// This position in the unit of [`Source::read`].
    pub(crate) fn read(&self) -> u64 {
        match self {
            Bookmark::Watch(position) => position.version,
            Bookmark::Roots(place) => place.group(),
        }
    }
}

/// An event of a source.
pub(crate) enum Told {
    /// An event of a watch.
    Event(Arc<SharedEvent>),
    /// A root that moved.
    Root(RootItem),
}

impl Source {
    /// The next event if it is available now; otherwise the source queues its stream when there is
    /// one.
    pub(crate) async fn next(&mut self) -> Result<Option<Told>, EngineError> {
        Ok(match self {
            Source::Watch(watch) => watch.next().await?.map(Told::Event),
            Source::Roots(roots) => roots.next().await?.map(Told::Root),
            Source::Absent { .. } => None,
        })
    }

    /// Whether the stream may continue; used while it may not be sent anything.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        match self {
            Source::Watch(watch) => watch.check(),
            Source::Roots(roots) => roots.check(),
            Source::Absent { .. } => Ok(()),
        }
    }

    /// How far it has read: a version for a watch, a group for root moves.
    pub(crate) fn read(&self) -> Option<u64> {
        match self {
            Source::Watch(watch) => Some(watch.position().version),
            Source::Roots(roots) => roots.mark().map(|place| place.group()),
            Source::Absent { .. } => None,
        }
    }

    /// The position to resume from for a client that has received everything sent.
    pub(crate) fn mark(&mut self) -> Option<Bookmark> {
        match self {
            Source::Watch(watch) => Some(Bookmark::Watch(watch.mark())),
            Source::Roots(roots) => roots.mark().map(Bookmark::Roots),
            Source::Absent { .. } => None,
        }
    }
}

/// The result of a step: the source and its event.
pub(crate) type Stepped = Result<(Source, Option<Told>), EngineError>;

/// One step of a source. A guest's step first waits for a permit, since it may wait for the disk.
pub(crate) async fn step(aside: Option<Aside>, mut source: Source) -> Stepped {
    let told = match &aside {
        Some(aside) => aside.in_places(source.next()).await?,
        None => source.next().await?,
    };
    Ok((source, told))
}

/// Byte credit of a stream without a limit by bytes.
const UNLIMITED: i32 = i32::MAX;

/// Remaining credit of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    items: u32,
    /// Negative after an item that was longer than the remaining credit.
    bytes: i32,
}

impl Allowance {
    /// The credit that came with the client's request.
    pub(crate) fn new(items: u64, bytes: Option<u64>) -> Allowance {
        Allowance {
            items: clamp_items(items),
            bytes: bytes.map_or(UNLIMITED, clamp_bytes),
        }
    }

    /// Adds credit from the client.
    pub(crate) fn add(&mut self, items: u64, bytes: u64) {
        self.items = clamp_items(items.saturating_add(self.items.into()));
        if self.bytes != UNLIMITED {
            let sum = self.bytes.saturating_add(clamp_bytes(bytes));
            self.bytes = sum.min(clamp_bytes(u64::MAX));
        }
    }

    /// Charges an item of `bytes` bytes.
    pub(crate) fn spend(&mut self, bytes: usize) {
        self.items = self.items.saturating_sub(1);
        if self.bytes != UNLIMITED {
            let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }

    /// Whether an item may be sent.
    pub(crate) fn is_open(self) -> bool {
        self.items > 0 && self.bytes > 0
    }
}

fn clamp_items(items: u64) -> u32 {
    items.min(STREAM_CREDIT) as u32
}

fn clamp_bytes(bytes: u64) -> i32 {
    bytes.min(STREAM_CREDIT_BYTES) as i32
}

/// One open stream.
pub(crate) struct Stream {
    /// The id of its request.
    pub(crate) id: StreamId,
    /// Its source, unless a step is under way.
    pub(crate) source: Option<Source>,
    /// The last progress reported to the client, in the unit of [`Source::read`].
    pub(crate) told: u64,
    /// Distinguishes steps of this stream from those of an earlier one in the same slot.
    pub(crate) serial: u32,
    /// The remaining credit.
    pub(crate) allowance: Allowance,
    /// Maximum bytes of an inline value.
    pub(crate) limit: u32,
    /// Interval of bookmarks; 0 for none.
    pub(crate) mark_every: Millis,
    /// When it had its last item or bookmark; maintained only if it wants bookmarks.
    pub(crate) last_item: Millis,
    /// Whether it was woken while a step was under way.
    pub(crate) woken: bool,
    /// Whether the client requested a bookmark that could not be sent yet.
    pub(crate) mark_asked: bool,
    /// Whether the last item was a part of a version or state, and more parts follow.
    pub(crate) partial: bool,
}

impl Stream {
    /// A stream without a source that wants no bookmarks.
    pub(crate) fn new(id: StreamId, serial: u32, allowance: Allowance) -> Stream {
        Stream {
            id,
            source: None,
            told: 0,
            serial,
            allowance,
            limit: 0,
            mark_every: 0,
            last_item: 0,
            woken: false,
            mark_asked: false,
            partial: false,
        }
    }
}

/// Opens a watch as soon as its namespace exists.
pub(crate) async fn when_created(
    engine: Engine,
    caller: Principal,
    namespace: SmolStr,
    request: WatchRequest,
    sink: Arc<dyn WakeSink>,
    token: u64,
) -> Result<Watch, EngineError> {
    loop {
        engine.wait_namespace(caller, &namespace).await?;
        let (request, sink) = (request.clone(), Arc::clone(&sink));
        match engine.watch(caller, &namespace, request, sink, token) {
            // It was removed again in between.
            Err(error) if error.kind == ErrorKind::NoNamespace => tokio::task::yield_now().await,
            opened => return opened,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_stream_is_small() {
        assert!(size_of::<Option<Stream>>() <= 64);
    }

    #[test]
    fn an_item_of_any_size_passes_and_is_paid_for_later() {
        let mut allowance = Allowance::new(10, Some(1));
        assert!(allowance.is_open());
        allowance.spend(1000);
        assert!(!allowance.is_open());
        allowance.add(0, 999);
        assert!(!allowance.is_open());
        allowance.add(0, 1);
        assert!(allowance.is_open());
    }

    #[test]
    fn credit_is_cut_to_its_limits() {
        let mut allowance = Allowance::new(u64::MAX, Some(u64::MAX));
        allowance.add(u64::MAX, u64::MAX);
        assert_eq!(u64::from(allowance.items), STREAM_CREDIT);
        assert_eq!(allowance.bytes as u64, STREAM_CREDIT_BYTES);
    }

    #[test]
    fn bytes_do_not_count_where_there_is_no_limit_to_them() {
        let mut allowance = Allowance::new(2, None);
        allowance.spend(usize::MAX);
        assert!(allowance.is_open());
        allowance.add(0, 5);
        allowance.spend(usize::MAX);
        assert!(!allowance.is_open());
    }
}
