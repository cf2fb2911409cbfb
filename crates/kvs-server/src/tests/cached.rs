//! Reads from the client's cache, and reads of many keys, return the same as reads of one key from
//! the daemon.

use super::gate::Gate;
use super::*;
use crate::work::at_once;
use kvs_client::{CachedNamespace, ClientError, Namespace, Options, Snapshot, Values};
use kvs_proto::{
    FRAME_BYTES, LOOKUP_KEYS, LookedUp, LookupMany, LookupManyAnswer, Nodes, NodesAnswer,
};
use kvs_tree::{Blobref, HashAlgorithm};
use proptest::collection::vec;
use proptest::prelude::*;

type Read = Result<Option<Bytes>, ClientError>;

/// The answer of a read that sends no request.
fn kept(read: impl Future<Output = Read> + Send + 'static) -> Read {
    at_once(&mut (Box::pin(read) as _)).expect("it is answered without a request")
}

fn get_kept(cached: &CachedNamespace, key: &str) -> Read {
    let (cached, key) = (cached.clone(), key.to_owned());
    kept(async move { cached.get(key).await })
}

fn read_kept(snapshot: &Snapshot, key: &str) -> Read {
    let (snapshot, key) = (snapshot.clone(), key.to_owned());
    kept(async move { snapshot.get(key).await })
}

fn some(text: &'static str) -> Read {
    Ok(Some(Bytes::from_static(text.as_bytes())))
}

async fn snapshot_of(namespace: &Namespace) -> smol_str::SmolStr {
    namespace.info(At::Current).await.unwrap().snapshot
}

/// One change of a random tree.
#[derive(Clone, Debug)]
enum Step {
    Put(String, usize),
    Append(String, usize),
    Unlink(String),
    Copy(String, String),
    Link(String, String),
    LinkAbroad(String, String),
}

fn key() -> impl Strategy<Value = String> {
    vec(prop::sample::select(vec!["a", "b", "c"]), 1..4).prop_map(|names| names.join("."))
}

fn length() -> impl Strategy<Value = usize> {
    prop::sample::select(vec![0, 1, 128, 129, 4096, 4097, 70_000])
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (key(), length()).prop_map(|(key, length)| Step::Put(key, length)),
        1 => (key(), length()).prop_map(|(key, length)| Step::Append(key, length)),
        1 => key().prop_map(Step::Unlink),
        1 => (key(), key()).prop_map(|(from, to)| Step::Copy(from, to)),
        2 => (key(), key()).prop_map(|(from, to)| Step::Link(from, to)),
        1 => (key(), key()).prop_map(|(from, to)| Step::LinkAbroad(from, to)),
    ]
}

impl Step {
    fn transaction(&self) -> Transaction {
        let bytes = |length: &usize| (0..*length).map(|n| (n % 251) as u8).collect::<Vec<_>>();
        match self {
            Step::Put(key, length) => Transaction::new().put(key, bytes(length)),
            Step::Append(key, length) => Transaction::new().append(key, bytes(length)),
            Step::Unlink(key) => Transaction::new().unlink(key),
            Step::Copy(from, to) => Transaction::new().copy(from, to),
            Step::Link(from, to) => Transaction::new().link(from, to),
            Step::LinkAbroad(from, to) => Transaction::new().link_into(from, "other", to),
        }
    }
}

async fn check_reads(steps: Vec<Step>, wide: bool, algorithm: HashAlgorithm, cache: u64) {
    let mut config = EngineConfig::new("/store", OWNER);
    config.algorithm = Some(algorithm);
    let environment = Environment::simulated(SimDisk::unrecorded(), 1);
    let engine = Engine::open(config, environment).await.unwrap();
    let shared = Arc::new(Shared::new(engine, OWNER));
    let client = client(&shared).await;
    let (primary, cached) = abroad_and_here(&client, wide, cache).await;
    let near = cached.cached().await.unwrap();
    let mut keys: Vec<String> = vec![
        ".".into(),
        "w.700".into(),
        "w.x".into(),
        "..".into(),
        "".into(),
    ];
    let names = ["a", "b", "c"];
    keys.extend(names.map(String::from));
    keys.extend(names.iter().flat_map(|a| names.map(|b| format!("{a}.{b}"))));
    keys.extend(["a.a.a", "a.b.c", "c.b.a.", ".b.b.b", "c..c.c"].map(String::from));
    let mut snapshots = vec![snapshot_of(&primary).await];
    for step in steps {
        if let Ok(done) = primary.commit(step.transaction()).await {
            snapshots.push(done.snapshot());
        }
        // Valid cached answers are reused, invalid ones are read again.
        for key in &keys {
            let plain = primary.get(key).await;
            assert!(near.get(key).await == plain, "{key} after {step:?}");
        }
    }
    for reference in snapshots {
        let at = At::Snapshot(reference.clone());
        let snapshot = cached.snapshot(reference.clone());
        let many = primary.get_many(&keys, at.clone()).await.unwrap();
        assert_eq!(
            (many.values.len(), &many.snapshot),
            (keys.len(), &reference)
        );
        for (key, value) in keys.iter().zip(many.values) {
            let plain = primary.get_at(key, at.clone()).await;
            assert!(snapshot.get(key).await == plain, "{key} at {reference}");
            assert!(
                snapshot.get(key).await == plain,
                "{key} at {reference}, again"
            );
            assert!(value == plain, "{key} of many at {reference}");
        }
    }
    let many = near.get_many(&keys).await.unwrap();
    for (key, value) in keys.iter().zip(many.values) {
        assert!(value == primary.get(key).await, "{key} of the newest");
    }
}

/// A client without a cache and one with a cache, on an existing tree.
async fn abroad_and_here(client: &Client, wide: bool, cache: u64) -> (Namespace, Namespace) {
    let create = kvs_client::NamespaceCreate::named("other");
    client.create_namespace(create).await.unwrap();
    let other = client.namespace("other");
    other
        .commit(Transaction::new().put("a.b", "there"))
        .await
        .unwrap();
    let primary = client.namespace("primary");
    if wide {
        let many = (0..1000).fold(Transaction::new(), |t, n| {
            t.put(format!("w.{n}"), n.to_string())
        });
        primary.commit(many).await.unwrap();
    }
    (primary, client.with_cache(cache).namespace("primary"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn cached_reads_and_reads_of_many_equal_plain_ones(
        steps in vec(step(), 1..14),
        wide in any::<bool>(),
        sha1 in any::<bool>(),
        cache in prop::sample::select(vec![0, 3000, 1 << 24]),
    ) {
        let algorithm = if sha1 { HashAlgorithm::Sha1 } else { HashAlgorithm::Blake3 };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check_reads(steps, wide, algorithm, cache));
    }
}

#[tokio::test]
async fn what_was_read_of_a_snapshot_is_read_again_without_a_request() {
    let shared = daemon().await;
    let client = client(&shared).await;
    let primary = client.with_cache(1 << 20).namespace("primary");
    let long = Bytes::from(vec![7; 10_000]);
    let transaction = Transaction::new()
        .put("a.b.c", "1")
        .put("a.b.long", long.clone())
        .link("l", "a.b");
    primary.commit(transaction).await.unwrap();
    let snapshot = primary.snapshot(snapshot_of(&primary).await);
    for key in ["a.b.c", "a.b.long", "l.c", "a.b"] {
        let first = snapshot.get(key).await;
        assert_eq!(read_kept(&snapshot, key), first, "{key}");
    }
    // Its neighbours were read with it, including that a key is missing.
    assert_eq!(read_kept(&snapshot, "a.b.none"), Ok(None));
    // Another state shares the nodes that did not change.
    primary.put("z", "1").await.unwrap();
    let next = primary.snapshot(snapshot_of(&primary).await);
    assert_eq!(next.get("z").await, some("1"));
    assert_eq!(read_kept(&next, "a.b.long"), Ok(Some(long)));
    let error = read_kept(&next, "a.b").unwrap_err();
    assert_eq!(error.code, ErrorCode::IsDirectory);
}

#[tokio::test]
async fn values_too_long_to_be_kept_are_read_from_the_daemon() {
    let shared = daemon().await;
    let client = client(&shared).await;
    let primary = client.with_cache(64 * 1000).namespace("primary");
    for length in [999, 1000, 1001, 5_000_000] {
        let value = Bytes::from(vec![1; length]);
        primary.put("v", value.clone()).await.unwrap();
        let snapshot = primary.snapshot(snapshot_of(&primary).await);
        for _ in 0..2 {
            assert!(
                snapshot.get("v").await.unwrap() == Some(value.clone()),
                "{length}"
            );
        }
        let again = snapshot.clone();
        let at_hand = at_once(&mut (Box::pin(async move { again.get("v").await }) as _));
        assert_eq!(at_hand.is_some(), length <= 1000, "{length}");
    }
}

#[tokio::test]
async fn a_long_way_of_nodes_comes_in_parts() {
    let shared = daemon().await;
    let client = client(&shared).await;
    let primary = client.with_cache(1 << 24).namespace("primary");
    let mut directory = String::new();
    for _ in 0..60 {
        let mut transaction = Transaction::new();
        for n in 0..60 {
            transaction = transaction.put(format!("{directory}v{n}"), vec![b'x'; 128]);
        }
        primary.commit(transaction).await.unwrap();
        directory.push_str("d.");
    }
    let snapshot = snapshot_of(&primary).await;
    let key = format!("{}v7", &directory[2..]);
    let mut raw = Raw::open(&shared).await;
    let (mut nodes, mut parts, mut more) = (Vec::new(), 0, true);
    while more {
        let asked = Nodes {
            namespace: "primary".into(),
            key: key.as_str().into(),
            at: At::Snapshot(snapshot.clone()),
            have: nodes.len() as u64,
            inline_max: None,
        };
        raw.send(1, asked).await;
        let answer: NodesAnswer = body(&raw.receive().await);
        assert!(!answer.nodes.is_empty() && answer.value.is_none());
        more = answer.more;
        nodes.extend(answer.nodes);
        parts += 1;
    }
    assert_eq!((nodes.len(), parts), (60, 2));
    let root = Blobref::of(HashAlgorithm::Blake3, &nodes[0]);
    assert!(snapshot.ends_with(&root.to_string()));
    let snapshot = primary.snapshot(snapshot);
    let value = snapshot.get(key.clone()).await.unwrap().unwrap();
    assert_eq!(value.len(), 128);
    assert_eq!(read_kept(&snapshot, &key), Ok(Some(value)));
}

#[tokio::test]
async fn nodes_are_given_to_those_who_may_read_the_namespace_only() {
    let environment = Environment::simulated(SimDisk::unrecorded(), 1);
    let engine = Engine::open(EngineConfig::new("/store", OWNER), environment);
    let shared = Shared::new(engine.await.unwrap(), OWNER).allow_guests(true);
    let shared = Arc::new(shared);
    let primary = client(&shared).await.namespace("primary");
    primary.put("a", "1").await.unwrap();
    let snapshot = snapshot_of(&primary).await;
    let mut guest = Raw::connect(&shared, OWNER + 1, Admission::Served);
    guest.send(0, hello(PROTOCOL_VERSION)).await;
    guest.receive().await;
    let nodes = |at: At| Nodes {
        namespace: "primary".into(),
        key: "a".into(),
        at,
        have: 0,
        inline_max: None,
    };
    let root = snapshot.split_once(':').unwrap().1;
    for at in [
        At::Current,
        At::Snapshot(snapshot.clone()),
        At::Root(root.into()),
    ] {
        guest.send(1, nodes(at)).await;
        assert_eq!(guest.refused().await.1, ErrorCode::Permission);
    }
    let many = LookupMany {
        namespace: "primary".into(),
        keys: vec!["a".into()],
        at: At::Current,
        inline_max: None,
    };
    guest.send(2, many).await;
    assert_eq!(guest.refused().await.1, ErrorCode::Permission);
    let mut owner = Raw::open(&shared).await;
    let wrong = snapshot.replace("@1:", "@0:");
    owner.send(1, nodes(At::Snapshot(wrong.into()))).await;
    assert_eq!(owner.refused().await.1, ErrorCode::StaleSnapshot);
}

#[tokio::test]
async fn many_keys_are_read_of_one_state_and_each_has_its_own_answer() {
    let shared = daemon().await;
    let client = client(&shared).await;
    let primary = client.namespace("primary");
    let transaction = Transaction::new()
        .put("d.v", "1")
        .link("loop", "loop")
        .link_into("gone", "nowhere", "a");
    primary.commit(transaction).await.unwrap();
    let keys = ["d.v", "none", "d", "loop", "", "gone", "d.v"];
    let Values {
        values, position, ..
    } = primary.get_many(keys, At::Current).await.unwrap();
    assert_eq!(position.version, 1);
    assert_eq!(primary.known(), Some(position));
    let codes: Vec<_> = values
        .iter()
        .map(|value| value.as_ref().map_err(|error| error.code))
        .collect();
    let one = Some(Bytes::from_static(b"1"));
    assert_eq!(
        codes,
        [
            Ok(&one),
            Ok(&None),
            Err(ErrorCode::IsDirectory),
            Err(ErrorCode::LinkLoop),
            Err(ErrorCode::Invalid),
            Err(ErrorCode::NoNamespace),
            Ok(&one),
        ]
    );
    let none = primary.get_many([""; 0], At::Current).await.unwrap();
    assert_eq!((none.values.len(), none.position), (0, position));
}

#[tokio::test]
async fn more_keys_than_fit_one_answer_are_still_of_one_state() {
    let shared = daemon().await;
    let primary = client(&shared).await.namespace("primary");
    let keys: Vec<String> = (0..LOOKUP_KEYS + 500).map(|n| format!("k{n}")).collect();
    let put = |value: &str| {
        keys.iter().fold(Transaction::new(), |transaction, key| {
            transaction.put(key, value.repeat(1000))
        })
    };
    primary.commit(put("x")).await.unwrap();
    // A commit overtakes every answer.
    let reading = tokio::spawn({
        let (primary, keys) = (primary.clone(), keys.clone());
        async move { primary.get_many(keys, At::Current).await.unwrap() }
    });
    let mut answers = 0;
    while !reading.is_finished() {
        primary.commit(put("y")).await.unwrap();
        answers += 1;
    }
    let read = reading.await.unwrap();
    assert_eq!(read.values.len(), keys.len());
    let first = read.values[0].clone();
    assert!(read.values.iter().all(|value| *value == first), "{answers}");

    let mut raw = Raw::open(&shared).await;
    let many = |count: usize| LookupMany {
        namespace: "primary".into(),
        keys: keys.iter().take(count).map(|key| key.into()).collect(),
        at: At::Current,
        inline_max: None,
    };
    raw.send(1, many(LOOKUP_KEYS)).await;
    let part: LookupManyAnswer = body(&raw.receive().await);
    assert!((1..LOOKUP_KEYS).contains(&part.results.len()));
    assert!(matches!(part.results[0], LookedUp::Found(_)));
    raw.send(2, many(LOOKUP_KEYS + 1)).await;
    assert_eq!(raw.refused().await, (2, ErrorCode::Limit));

    // As many empty keys as fit in a frame.
    let mut frame = b"\0\0\0\0\x93\x03\x19\x82\xa9namespace\xa7primary\xa4keys\xdd".to_vec();
    let count = FRAME_BYTES - frame.len();
    frame.extend_from_slice(&(count as u32).to_be_bytes());
    frame.resize(frame.len() + count, 0xa0);
    let length = frame.len() as u32 - 4;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    raw.0.out.frames().extend_from_slice(&frame);
    raw.0.flush().await.unwrap();
    assert_eq!(raw.refused().await, (3, ErrorCode::Limit));
    raw.send(4, many(1)).await;
    assert_eq!(raw.receive().await.id, 4);
}

#[tokio::test]
async fn a_state_that_is_not_retained_is_read_as_far_as_it_is_kept() {
    let mut config = EngineConfig::new("/store", OWNER);
    config.segment_bytes = Some(8 * 1024);
    config.checkpoint_bytes = 8 * 1024;
    config.retention.versions = 10;
    config.retention.time_ms = 0;
    let environment = Environment::simulated(SimDisk::unrecorded(), 1);
    let engine = Engine::open(config, environment).await.unwrap();
    let shared = Arc::new(Shared::new(engine, OWNER));
    let client = client(&shared).await.with_cache(1 << 20);
    let primary = client.namespace("primary");
    let transaction = Transaction::new().put("a.v", "1").put("b.v", "2");
    primary.commit(transaction).await.unwrap();
    let near = primary.cached().await.unwrap();
    let snapshot = primary.snapshot(snapshot_of(&primary).await);
    assert_eq!(snapshot.get("a.v").await, some("1"));
    for n in 0..2000 {
        primary.put("n", n.to_string()).await.unwrap();
    }
    assert_eq!(read_kept(&snapshot, "a.v"), some("1"));
    let error = snapshot.get("b.v").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Compacted);
    assert_eq!(near.get("b.v").await, some("2"));
}

#[tokio::test]
async fn current_values_are_read_without_a_request_and_own_writes_are_seen() {
    let shared = daemon().await;
    let client = client(&shared).await;
    let primary = client.namespace("primary");
    let near = primary.cached().await.unwrap();
    assert_eq!(near.get("a.v").await, Ok(None));
    assert_eq!(get_kept(&near, "a.v"), Ok(None));
    for n in 0..100 {
        let done = primary.put("a.v", n.to_string()).await.unwrap();
        let seen = near.get("a.v").await.unwrap().unwrap();
        assert_eq!(seen, n.to_string());
        assert_eq!(near.position().unwrap(), done.position);
        assert_eq!(get_kept(&near, "a.v"), Ok(Some(seen)));
    }
    // A key that a commit does not touch is not requested again, although all nodes above it are
    // new.
    for n in 0..100 {
        primary.put("a.b.v", n.to_string()).await.unwrap();
        primary.put("b.c.v", "1").await.unwrap();
        near.sync().await.unwrap();
        assert_eq!(get_kept(&near, "a.v"), some("99"));
    }
    assert_eq!(near.get("b.c.v").await, some("1"));
    primary.put("c", "1").await.unwrap();
    near.sync().await.unwrap();
    let many = near.get_many(["a.v", "b.c.v", "none"]).await.unwrap();
    assert_eq!(many.values, [some("99"), some("1"), Ok(None)]);
    let fixed = near.snapshot().await.unwrap();
    primary.put("a.v", "100").await.unwrap();
    assert_eq!(near.get("a.v").await, some("100"));
    assert_eq!(fixed.get("a.v").await, some("99"));
}

/// A near cache over a connection of its own.
async fn near(shared: &Arc<Shared>) -> CachedNamespace {
    let primary = client(shared).await.namespace("primary");
    primary.cached().await.unwrap()
}

#[tokio::test]
async fn writes_of_others_are_seen_after_a_sync_at_the_latest() {
    let shared = daemon().await;
    let near = near(&shared).await;
    let other = client(&shared).await.namespace("primary");
    for n in 0..100 {
        let done = other.put("a", n.to_string()).await.unwrap();
        let synced = near.sync().await.unwrap();
        assert!(synced.version >= done.position.version);
        assert_eq!(near.get("a").await.unwrap().unwrap(), n.to_string());
    }
}

#[tokio::test]
async fn clones_never_read_backwards_while_others_write() {
    let shared = daemon().await;
    let near = near(&shared).await;
    let writer = client(&shared).await.namespace("primary");
    writer.put("n", "0").await.unwrap();
    near.sync().await.unwrap();
    let writing = tokio::spawn(async move {
        for n in 1..=300 {
            writer.put("n", n.to_string()).await.unwrap();
        }
    });
    let read = |near: CachedNamespace| async move {
        let value = near.get("n").await.unwrap().unwrap();
        std::str::from_utf8(&value).unwrap().parse::<u32>().unwrap()
    };
    let mut last = 0;
    while last < 300 {
        let (one, two) = (near.clone(), near.clone());
        let first = tokio::spawn(read(one)).await.unwrap();
        let second = read(two).await;
        assert!(last <= first && first <= second, "{last} {first} {second}");
        last = second;
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_leaves_the_last_state_and_then_goes_on_from_it() {
    let shared = daemon().await;
    let gate = Gate::new(&shared);
    let client = Client::connect_with(gate.clone(), Options::default())
        .await
        .unwrap();
    let near = client.namespace("primary").cached().await.unwrap();
    near.namespace().put("a", "1").await.unwrap();
    assert_eq!(near.get("a").await, some("1"));
    gate.close();
    commit(&shared, 1, "2").await;
    assert_eq!(get_kept(&near, "a"), some("1"));
    let before = near.position().unwrap();
    gate.open();
    let synced = near.sync().await.unwrap();
    assert_eq!(synced.version, before.version + 1);
    assert_eq!(near.get("k").await, some("2"));
    assert_eq!(near.get("a").await, some("1"));
    // It follows again.
    near.namespace().put("a", "3").await.unwrap();
    assert_eq!(near.get("a").await, some("3"));
}

#[tokio::test(start_paused = true)]
async fn another_life_of_the_namespace_is_taken_up() {
    let shared = daemon().await;
    let gate = Gate::new(&shared);
    let client = Client::connect_with(gate.clone(), Options::default())
        .await
        .unwrap();
    let create = kvs_client::NamespaceCreate::named("jobs");
    client.create_namespace(create.clone()).await.unwrap();
    let near = client.namespace("jobs").cached().await.unwrap();
    for n in 0..5 {
        near.namespace().put("a", n.to_string()).await.unwrap();
    }
    assert_eq!(near.get("a").await, some("4"));
    gate.close();
    let other = super::client(&shared).await;
    other.remove_namespace("jobs").await.unwrap();
    other.create_namespace(create).await.unwrap();
    other.namespace("jobs").put("b", "1").await.unwrap();
    gate.open();
    let synced = near.sync().await.unwrap();
    assert_eq!(synced.version, 1);
    assert_eq!(near.get("a").await, Ok(None));
    assert_eq!(near.get("b").await, some("1"));
    near.namespace().put("a", "new").await.unwrap();
    assert_eq!(near.get("a").await, some("new"));

    other.remove_namespace("jobs").await.unwrap();
    let ended = loop {
        match near.get("a").await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert_eq!(ended.code, ErrorCode::NoNamespace);
}
