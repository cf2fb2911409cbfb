//! Limits of guests, over all connections of one, and that others do not wait for them.

use kvs_proto::{LookupAnswer, WaitAnswer};

use super::super::work::at_once;
use super::*;
use crate::limits::{
    FRAME_TIMEOUT, FREE_BYTES, GUEST_BYTES, GUEST_STREAMS, GUEST_STREAMS_IN_ALL, HELLO_BYTES,
    LONG_FRAME_BYTES,
};

const GUEST: u32 = 4711;

/// A store in which a guest owns a namespace.
async fn open_engine() -> Engine {
    let environment = Environment::simulated(SimDisk::unrecorded(), 1);
    let config = EngineConfig::new("/store", OWNER);
    let engine = Engine::open(config, environment).await.unwrap();
    engine
        .create_namespace(CALLER, "theirs", Some(Principal::Uid(GUEST)))
        .await
        .unwrap();
    engine
}

/// A daemon that serves guests, one of whom owns a namespace.
async fn open_daemon() -> Arc<Shared> {
    Arc::new(Shared::new(open_engine().await, OWNER).allow_guests(true))
}

/// A connection of a guest after its handshake.
async fn guest(shared: &Arc<Shared>, client: u8) -> Raw {
    let mut raw = Raw::connect(shared, GUEST, shared.enter(Principal::Uid(GUEST)));
    let hello = Hello {
        client: [client; 16],
        ..hello(PROTOCOL_VERSION)
    };
    raw.send(0, hello).await;
    let answer: HelloAnswer = body(&raw.receive().await);
    assert_eq!(answer.uid, GUEST);
    raw
}

fn theirs(number: u64, key: &str, value: impl Into<Bytes>) -> Commit {
    Commit {
        namespace: "theirs".into(),
        ..put(number, key, value)
    }
}

fn lookup(key: &str, inline_max: u64) -> wire::Lookup {
    wire::Lookup {
        namespace: "theirs".into(),
        key: key.into(),
        at: wire::At::Current,
        follow: true,
        treeobj: false,
        root: false,
        inline_max: Some(inline_max),
    }
}

/// Lets all tasks run as far as they can.
async fn settle() {
    for _ in 0..2_000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn answers_that_nobody_reads_take_no_more_than_a_guest_may_hold() {
    let shared = open_daemon().await;
    let mut first = guest(&shared, 0).await;
    const BYTES: usize = 1 << 20;
    first.send(1, theirs(1, "big", vec![7; BYTES])).await;
    assert_eq!(first.receive().await.tag, Status::Final.code());
    let mut connections = vec![first];
    for client in 1..16 {
        connections.push(guest(&shared, client).await);
    }
    for raw in &mut connections {
        for id in 100..132 {
            raw.send(id, lookup("big", 4 * BYTES as u64)).await;
        }
    }
    settle().await;
    let account = shared.account(Principal::Uid(GUEST));
    assert!(account.bytes() > BYTES, "{}", account.bytes());
    // The instance owner is still served.
    let mut owner = Raw::open(&shared).await;
    owner.send(1, put(1, "k", "v")).await;
    assert_eq!(owner.receive().await.tag, Status::Final.code());
    // All requests are answered when they are read, one connection after the other.
    let reading: Vec<_> = connections
        .into_iter()
        .map(|mut raw| {
            tokio::spawn(async move {
                for _ in 100..132 {
                    let frame = raw.receive().await;
                    let answer: LookupAnswer = body(&frame);
                    assert!(answer.entry.is_some());
                }
                raw
            })
        })
        .collect();
    for reading in reading {
        reading.await.unwrap();
    }
    let most = account.most();
    assert!(most <= GUEST_BYTES + 16 * FREE_BYTES, "{most}");
    settle().await;
    assert_eq!(account.bytes(), 0, "everything is given back");
}

#[tokio::test]
async fn long_frames_that_never_end_take_no_more_than_a_guest_may_hold() {
    let shared = open_daemon().await;
    let mut connections = Vec::new();
    for client in 0..8 {
        let mut raw = guest(&shared, client).await;
        // The start of the longest possible frame.
        let mut begun = (FRAME_BYTES as u32).to_be_bytes().to_vec();
        begun.resize(2_000, 0);
        raw.0.out.frames().extend_from_slice(&begun);
        raw.0.flush().await.unwrap();
        connections.push(raw);
    }
    settle().await;
    let account = shared.account(Principal::Uid(GUEST));
    let held = account.bytes();
    assert!(
        (GUEST_BYTES - FRAME_BYTES..=GUEST_BYTES).contains(&held),
        "{held}"
    );
    // A small request is still served.
    let mut other = guest(&shared, 99).await;
    other.send(1, theirs(1, "a", "1")).await;
    assert_eq!(other.receive().await.tag, Status::Final.code());
    connections.truncate(6);
    drop(connections);
    settle().await;
    assert_eq!(account.bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_long_frame_that_does_not_arrive_in_time_ends_its_connection_and_frees_its_room() {
    let shared = open_daemon().await;
    let begun = |length: usize| {
        let mut begun = (length as u32).to_be_bytes().to_vec();
        begun.resize(2_000, 0);
        begun
    };
    let mut long = guest(&shared, 1).await;
    long.0.out.frames().extend_from_slice(&begun(FRAME_BYTES));
    long.0.flush().await.unwrap();
    let mut short = guest(&shared, 2).await;
    let frame = begun(LONG_FRAME_BYTES - 1);
    short.0.out.frames().extend_from_slice(&frame);
    short.0.flush().await.unwrap();
    // A slow frame within the time limit is received.
    let mut slow = guest(&shared, 3).await;
    slow.queue(1, theirs(1, "a", vec![1; 2 * LONG_FRAME_BYTES]));
    let rest = slow.0.out.frames().split_off(1_000);
    slow.0.flush().await.unwrap();
    settle().await;
    let account = shared.account(Principal::Uid(GUEST));
    assert!(account.bytes() > FRAME_BYTES);
    let before = tokio::time::Instant::now();
    tokio::time::sleep(FRAME_TIMEOUT / 2).await;
    slow.0.out.frames().extend_from_slice(&rest);
    slow.0.flush().await.unwrap();
    assert_eq!(slow.receive().await.tag, Status::Final.code());
    assert!(long.ended().await);
    assert_eq!(before.elapsed().as_secs(), FRAME_TIMEOUT.as_secs());
    settle().await;
    assert_eq!(account.bytes(), 0);
    // A connection whose frame reserves no room may stay.
    tokio::time::sleep(2 * FRAME_TIMEOUT).await;
    assert!(at_once(&mut (Box::pin(async move { short.ended().await }) as _)).is_none());
}

#[tokio::test]
async fn a_hello_is_short() {
    let shared = daemon().await;
    for bytes in [HELLO_BYTES + 1, FRAME_BYTES, FRAME_BYTES + 1] {
        let mut raw = Raw::connect(&shared, OWNER, Admission::Served);
        let head = (bytes as u32).to_be_bytes();
        raw.0.out.frames().extend_from_slice(&head);
        raw.0.flush().await.unwrap();
        assert!(raw.0.read_frame().await.is_ok_and(|frame| frame.is_none()));
    }
    // Frames after the hello may be longer.
    let mut raw = Raw::open(&shared).await;
    raw.send(1, put(1, "k", vec![1; 2 * LONG_FRAME_BYTES]))
        .await;
    assert_eq!(raw.receive().await.tag, Status::Final.code());
}

#[tokio::test]
async fn a_guest_has_so_many_waits_on_all_its_connections_and_others_have_theirs() {
    let shared = open_daemon().await;
    let theirs = |version| Wait {
        namespace: "theirs".into(),
        ..wait(version)
    };
    let mut connections = Vec::new();
    for client in 0..(GUEST_STREAMS_IN_ALL / GUEST_STREAMS + 1) as u8 {
        let mut raw = guest(&shared, client).await;
        for id in 1..=GUEST_STREAMS as u64 {
            raw.send(id, theirs(9)).await;
        }
        settle().await;
        connections.push(raw);
    }
    let mut last = connections.pop().unwrap();
    for _ in 0..GUEST_STREAMS {
        assert_eq!(last.refused().await.1, ErrorCode::Limit);
    }
    let mut owner = Raw::open(&shared).await;
    owner.send(1, theirs(1)).await;
    last.send(1000, self::theirs(1, "a", "1")).await;
    let answer: WaitAnswer = body(&owner.receive().await);
    assert_eq!(answer.position.version, 1);
    // Another connection may use what one releases.
    assert_eq!(last.receive().await.id, 1000);
    drop(connections.pop());
    settle().await;
    last.send(1001, theirs(9)).await;
    last.send(1002, theirs(1)).await;
    assert_eq!(last.receive().await.id, 1002);
}

#[tokio::test(start_paused = true)]
async fn a_guest_writes_as_much_a_second_as_it_may_and_nobody_else_waits() {
    let shared = Shared::new(open_engine().await, OWNER)
        .allow_guests(true)
        .guest_rate(20_000);
    let shared = Arc::new(shared);
    let began = tokio::time::Instant::now();
    // Two connections, 100 kB in total: a burst of 2.5 kB at once, the rest at 20 kB per second.
    let mut tasks = Vec::new();
    for client in 0..2 {
        let mut raw = guest(&shared, client).await;
        tasks.push(tokio::spawn(async move {
            for number in 1..=50 {
                raw.send(number, theirs(number, "a", vec![1; 744])).await;
            }
            for _ in 0..50 {
                assert_eq!(raw.receive().await.tag, Status::Final.code());
            }
        }));
    }
    let mut owner = Raw::open(&shared).await;
    owner.send(1, put(1, "k", vec![1; 1_000_000])).await;
    assert_eq!(owner.receive().await.tag, Status::Final.code());
    assert!(began.elapsed().as_secs() < 1);
    for task in tasks {
        task.await.unwrap();
    }
    let took = began.elapsed().as_secs_f64();
    assert!((3.9..6.0).contains(&took), "{took}");
}

#[tokio::test]
async fn a_flood_of_a_guest_on_many_connections_and_the_owner_are_both_answered() {
    let shared = open_daemon().await;
    let mut tasks = Vec::new();
    for client in 0..32 {
        let mut raw = guest(&shared, client).await;
        tasks.push(tokio::spawn(async move {
            for number in 1..=64 {
                raw.queue(number, theirs(number, "a", "1"));
            }
            raw.0.flush().await.unwrap();
            for _ in 0..64 {
                assert_eq!(raw.receive().await.tag, Status::Final.code());
            }
        }));
    }
    let mut owner = Raw::open(&shared).await;
    for number in 1..=50 {
        owner.send(number, put(number, "k", "v")).await;
        assert_eq!(owner.receive().await.tag, Status::Final.code());
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// The frame of a commit of 1 MiB whose operation has an invalid key; its namespace comes first or
/// last.
fn malformed(number: u8, namespace: &str, first: bool) -> Vec<u8> {
    let name = [&[0xa9][..], b"namespace", &[0xa0 | namespace.len() as u8]].concat();
    let name = [&name, namespace.as_bytes()].concat();
    let mut operations = b"\xaaoperations\x91\x81\xa3put\x82\xa3key\x05\xa5value".to_vec();
    operations.extend_from_slice(b"\xc6\x00\x10\x00\x00");
    operations.resize(operations.len() + (1 << 20), b'x');
    let number = [b"\xa6number".as_slice(), &[number]].concat();
    let (before, behind) = match first {
        true => (name, Vec::new()),
        false => (Vec::new(), name),
    };
    let content = [
        &[0x93, 5, 2, 0x83][..],
        &before,
        &number,
        &operations,
        &behind,
    ]
    .concat();
    [&(content.len() as u32).to_be_bytes()[..], &content].concat()
}

#[tokio::test]
async fn a_guest_is_refused_before_its_long_request_is_decoded() {
    let shared = open_daemon().await;
    let mut raw = guest(&shared, 0).await;
    for first in [true, false] {
        for (namespace, code) in [
            ("primary", ErrorCode::Permission),
            ("nowhere", ErrorCode::Permission),
            ("theirs", ErrorCode::BadRequest),
        ] {
            let frame = malformed(1, namespace, first);
            raw.0.out.frames().extend_from_slice(&frame);
            raw.0.flush().await.unwrap();
            assert_eq!(raw.refused().await, (5, code), "{namespace}");
        }
    }
    let mut long = lookup("k", 1);
    long.namespace = "primary".into();
    long.at = kvs_client::At::Snapshot("x".repeat(5_000).into());
    raw.send(6, long).await;
    assert_eq!(raw.refused().await, (6, ErrorCode::Permission));
}

#[tokio::test]
async fn a_long_commit_that_took_effect_is_answered_again_when_the_right_is_gone() {
    let shared = open_daemon().await;
    let mut raw = guest(&shared, 0).await;
    let mut commit = theirs(1, "k", vec![7; 100_000]);
    raw.send(1, commit.clone()).await;
    let done: CommitAnswer = body(&raw.receive().await);
    let chowned = shared.engine.chown_namespace(CALLER, "theirs", CALLER);
    chowned.await.unwrap();
    commit.repeat = Some(done.position);
    raw.send(2, commit.clone()).await;
    let again: CommitAnswer = body(&raw.receive().await);
    assert_eq!(again.position, done.position);
    commit.number = 2;
    raw.send(3, commit).await;
    assert_eq!(raw.refused().await, (3, ErrorCode::Permission));
}

#[tokio::test]
async fn an_upload_is_for_one_namespace_and_its_rights_are_judged_at_each_piece() {
    let shared = open_daemon().await;
    let mut raw = guest(&shared, 0).await;
    let to = |namespace: &str| wire::Upload {
        namespace: namespace.into(),
    };
    for (id, namespace) in [(1, "primary"), (2, "nowhere")] {
        raw.send(id, to(namespace)).await;
        assert_eq!(raw.refused().await, (id, ErrorCode::Permission));
    }
    raw.send(3, to("theirs")).await;
    assert_eq!(raw.receive().await.tag, Status::Final.code());
    let chowned = shared.engine.chown_namespace(CALLER, "theirs", CALLER);
    chowned.await.unwrap();
    raw.send(4, piece(3, 0, "x")).await;
    assert_eq!(raw.refused().await, (4, ErrorCode::Permission));
    raw.send(5, piece(3, 0, "x")).await;
    assert_eq!(raw.refused().await, (5, ErrorCode::Invalid));
    let mut owner = Raw::open(&shared).await;
    owner.send(6, to("theirs")).await;
    owner.receive().await;
    owner.send(7, put_upload(1, 6, 0)).await;
    let refused = owner.receive().await;
    let refused: ErrorBody = body(&refused);
    assert_eq!(refused.message, "upload 6 is for namespace theirs");
}
