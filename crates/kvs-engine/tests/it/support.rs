//! A store in a simulated world, and helpers to use it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use kvs_engine::{
    Answer, Answers, At, ChangeKind, ChangeValue, CommitRequest, Committed, Engine, EngineConfig,
    EngineError, Environment, Position, Principal, SimDisk, Start, Submitted, TransactionId, View,
    WakeSink, Watch, WatchEvent, WatchRequest,
};
use kvs_tree::{Entry, Key, Operation, Scope, Transaction};

pub(crate) const OWNER: Principal = Principal::Uid(1000);
pub(crate) const NS: &str = "primary";

pub(crate) fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

pub(crate) fn put(at: &str, value: impl Into<Bytes>) -> Operation {
    Operation::Put {
        key: key(at),
        value: value.into(),
    }
}

pub(crate) fn unlink(at: &str) -> Operation {
    Operation::Unlink { key: key(at) }
}

pub(crate) fn config() -> EngineConfig {
    let mut config = EngineConfig::new("/store", OWNER.uid());
    config.segment_bytes = Some(64 * 1024);
    config
}

/// Small segments, frequent checkpoints, and at most `versions` versions retained.
pub(crate) fn trimming(versions: u64) -> EngineConfig {
    let mut config = config();
    config.segment_bytes = Some(8 * 1024);
    config.checkpoint_bytes = 8 * 1024;
    config.retention.versions = versions;
    config.retention.time_ms = 0;
    config
}

/// Takes all ready answers, waiting for at least one.
pub(crate) async fn take(answers: &mut Answers) -> VecDeque<Answer> {
    let mut taken = VecDeque::new();
    poll_fn(|cx| answers.poll_take(cx, &mut taken)).await;
    taken
}

/// A simulated machine with one store.
pub(crate) struct Sim {
    pub(crate) disk: SimDisk,
    pub(crate) env: Environment,
    pub(crate) config: EngineConfig,
    pub(crate) engine: Engine,
    next: AtomicU64,
}

impl Sim {
    pub(crate) async fn new() -> Self {
        Self::with(config(), SimDisk::unrecorded()).await
    }

    pub(crate) async fn with(config: EngineConfig, disk: SimDisk) -> Self {
        Self::try_open(config, disk).await.unwrap()
    }

    pub(crate) async fn try_open(config: EngineConfig, disk: SimDisk) -> Result<Self, EngineError> {
        let env = Environment::simulated(disk.clone(), 7);
        let engine = Engine::open(config.clone(), env.clone()).await?;
        Ok(Self {
            disk,
            env,
            config,
            engine,
            next: AtomicU64::new(1),
        })
    }

    /// Stops cleanly and opens again.
    pub(crate) async fn restart(self) -> Self {
        self.engine.shutdown().await.unwrap();
        let Self {
            disk,
            env,
            config,
            next,
            ..
        } = self;
        let engine = Engine::open(config.clone(), env.clone()).await.unwrap();
        Self {
            disk,
            env,
            config,
            engine,
            next,
        }
    }

    /// The same store with threads besides the commit task, as in a daemon.
    pub(crate) async fn threaded(mut self) -> Self {
        self.engine.shutdown().await.unwrap();
        self.env.inline = false;
        let opened = Engine::open(self.config.clone(), self.env.clone()).await;
        self.engine = opened.unwrap();
        self
    }

    /// Continues as a client that has not used its numbers yet.
    pub(crate) fn forget_numbers(&self) {
        self.next.store(1_000_000, Ordering::Relaxed);
    }

    pub(crate) fn request(&self, operations: Vec<Operation>) -> CommitRequest {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        commit_request([1; 16], number, operations)
    }

    /// Queues transactions in order.
    pub(crate) fn submit_each(
        &self,
        requests: impl IntoIterator<Item = CommitRequest>,
    ) -> Vec<Submitted> {
        let requests = requests.into_iter();
        requests.map(|one| self.engine.submit(one)).collect()
    }

    pub(crate) async fn commit(&self, operations: Vec<Operation>) -> Committed {
        self.engine.commit(self.request(operations)).await.unwrap()
    }

    pub(crate) async fn put(&self, at: &str, value: impl Into<Bytes>) -> Committed {
        self.commit(vec![put(at, value)]).await
    }

    pub(crate) async fn view(&self, at: At) -> View {
        self.engine.view(OWNER, NS, at).await.unwrap()
    }

    pub(crate) async fn get(&self, at: &str) -> Option<Bytes> {
        read(&self.view(At::Current).await, at).await
    }

    pub(crate) fn watch(&self, scopes: &[&str], start: Start) -> Watch {
        let scopes = scopes.iter().map(|s| Scope::parse(s).unwrap()).collect();
        self.watch_as(WatchRequest::new(scopes, start))
    }

    pub(crate) fn watch_as(&self, request: WatchRequest) -> Watch {
        self.engine
            .watch(OWNER, NS, request, Arc::new(Wakes::default()), 0)
            .unwrap()
    }

    pub(crate) async fn position(&self) -> Position {
        self.view(At::Current).await.position()
    }
}

/// A commit of the instance owner in primary.
pub(crate) fn commit_request(
    client: [u8; 16],
    number: u64,
    operations: Vec<Operation>,
) -> CommitRequest {
    CommitRequest {
        namespace: NS.into(),
        caller: OWNER,
        id: TransactionId { client, number },
        acknowledged: 0,
        repeat: None,
        name: None,
        no_merge: false,
        prepared: kvs_engine::Prepared::default(),
        transaction: Transaction {
            conditions: Vec::new(),
            operations,
        },
    }
}

/// The value at a key of a view, if there is one.
pub(crate) async fn read(view: &View, at: &str) -> Option<Bytes> {
    match view.lookup(&key(at), true).await.unwrap()?.entry {
        Entry::Value(value) => Some(view.read(&value, 0..value.len()).await.unwrap()),
        _ => None,
    }
}

/// The changes of an event as text: `put a.b=1`, `unlink a.b`.
pub(crate) fn told(event: &WatchEvent) -> Vec<String> {
    let (WatchEvent::Changes { changes, .. }
    | WatchEvent::Initial {
        entries: changes, ..
    }) = event
    else {
        return vec![format!("{event:?}")];
    };
    let one = |c: &kvs_engine::KeyChange| {
        let kind = match c.kind {
            ChangeKind::Put => "put",
            ChangeKind::Append => "append",
            ChangeKind::Unlink => "unlink",
            ChangeKind::Mkdir => "mkdir",
            ChangeKind::Link => "link",
        };
        match &c.value {
            ChangeValue::None => format!("{kind} {}", c.key),
            ChangeValue::Inline(b) => format!("{kind} {}={}", c.key, String::from_utf8_lossy(b)),
            ChangeValue::Large { len, .. } => format!("{kind} {} ({len} bytes)", c.key),
            ChangeValue::Link(link) => format!("{kind} {}->{}", c.key, link.target),
        }
    };
    changes.iter().map(one).collect()
}

/// A sink that counts.
#[derive(Default)]
pub(crate) struct Wakes(pub(crate) AtomicU64);

impl WakeSink for Wakes {
    fn wake(&self, _token: u64) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Wakes {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// All events that a watch has now.
pub(crate) async fn drain(watch: &mut Watch) -> Vec<WatchEvent> {
    let mut events = Vec::new();
    while let Some(event) = watch.next().await.unwrap() {
        events.push(event.event().clone());
    }
    events
}

/// All changes that a watch has now, as text.
pub(crate) async fn changes(watch: &mut Watch) -> Vec<String> {
    drain(watch).await.iter().flat_map(told).collect()
}

/// A reproducible sequence of random numbers.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

/// The next event, which must exist.
pub(crate) async fn one(watch: &mut Watch) -> WatchEvent {
    watch.next().await.unwrap().unwrap().event().clone()
}
