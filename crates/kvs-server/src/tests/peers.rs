//! Lists that never end: of clients that are gone, and of guests next to other users.

use kvs_proto::ListAnswer;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::super::listener::has_hung_up;
use super::*;

const GUESTS: [u32; 3] = [4711, 4712, 4713];

fn name(uid: u32) -> String {
    format!("of{uid}")
}

/// A daemon with guests that own a namespace each, with more than 2^30 keys.
async fn grown() -> Arc<Shared> {
    let environment = Environment::simulated(SimDisk::unrecorded(), 1);
    let config = EngineConfig::new("/store", OWNER);
    let engine = Engine::open(config, environment).await.unwrap();
    for uid in GUESTS {
        let made = engine
            .create_namespace(CALLER, &name(uid), Some(Principal::Uid(uid)))
            .await;
        made.unwrap();
    }
    let shared = Arc::new(Shared::new(engine, OWNER).allow_guests(true));
    let mut owner = Raw::open(&shared).await;
    let mut number = 0;
    for uid in GUESTS {
        let mut commit = |operations| {
            number += 1;
            Commit {
                namespace: name(uid).into(),
                operations,
                ..put(number, "d.x", "1")
            }
        };
        let first = commit(put(1, "d.x", "1").operations);
        let doubling = || {
            let [d, e, a, b] = ["d", "e", "d.a", "d.b"].map(Into::into);
            let from = wire::Operation::Copy { from: d, to: e };
            let [e, f] = ["e", "e"].map(Into::into);
            let left = wire::Operation::Copy { from: e, to: a };
            let right = wire::Operation::Move { from: f, to: b };
            vec![from, left, right]
        };
        let mut commits = vec![first];
        commits.extend((0..30).map(|_| commit(doubling())));
        for commit in commits {
            owner.send(commit.number, commit).await;
            assert_eq!(owner.receive().await.tag, Status::Final.code());
        }
    }
    shared
}

fn list(namespace: &str, text: &str, bounded: bool) -> wire::List {
    wire::List {
        namespace: namespace.into(),
        key: ".".into(),
        at: wire::At::Current,
        after: None,
        limit: 0,
        recursive: true,
        scope: Some(wire::Scope {
            kind: wire::ScopeKind::Glob,
            text: text.into(),
        }),
        inline_max: None,
        bounded,
    }
}

/// A connection of the instance owner over a socket, and the task that serves it.
async fn socket(shared: &Arc<Shared>) -> (Connection<UnixStream>, JoinHandle<()>) {
    let (near, far) = UnixStream::pair().unwrap();
    let served = serve(
        Arc::clone(shared),
        (far, has_hung_up),
        CALLER,
        Admission::Served,
    );
    let served = tokio::spawn(served);
    let mut near = Connection::new(near);
    write_request(
        near.out.frames(),
        FRAME_BYTES,
        0,
        &hello(PROTOCOL_VERSION).into(),
    )
    .unwrap();
    near.flush().await.unwrap();
    near.read_frame().await.unwrap().unwrap();
    (near, served)
}

fn queue(near: &mut Connection<UnixStream>, id: u64, asked: wire::List) {
    write_request(near.out.frames(), FRAME_BYTES, id, &asked.into()).unwrap();
}

#[tokio::test]
async fn what_a_client_that_is_gone_asked_for_ends() {
    let shared = grown().await;
    let namespace = name(GUESTS[0]);
    // With this many, the daemon no longer reads from the connection.
    for lists in [1, 100] {
        let (mut near, served) = socket(&shared).await;
        for id in 1..=lists {
            queue(&mut near, id, list(&namespace, "**.nothing", false));
        }
        near.flush().await.unwrap();
        let before = shared.engine.slices().counts().slices;
        while shared.engine.slices().counts().slices < before + 100 {
            tokio::task::yield_now().await;
        }
        drop(near);
        served.await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_sends_no_more_is_still_answered() {
    let shared = grown().await;
    let (near, far) = UnixStream::pair().unwrap();
    let served = serve(
        Arc::clone(&shared),
        (far, has_hung_up),
        CALLER,
        Admission::Served,
    );
    let served = tokio::spawn(served);
    let (read, mut write) = near.into_split();
    let mut frames = bytes::BytesMut::new();
    let asked = list(&name(GUESTS[0]), "**.nothing", true);
    for (id, request) in [(0, hello(PROTOCOL_VERSION).into()), (1, asked.into())] {
        write_request(&mut frames, FRAME_BYTES, id, &request).unwrap();
    }
    write.write_all(&frames).await.unwrap();
    drop(write);
    let mut near = Connection::new(tokio::io::join(read, tokio::io::sink()));
    let hello = near.read_frame().await.unwrap().unwrap();
    let listed = near.read_frame().await.unwrap().unwrap();
    assert_eq!((hello.id, listed.id), (0, 1));
    assert!(body::<ListAnswer>(&listed).more);
    served.await.unwrap();
}

#[tokio::test]
async fn lists_without_end_of_two_guests_do_not_keep_a_third_from_reading() {
    let shared = grown().await;
    let mut connections = Vec::new();
    for uid in GUESTS {
        let mut raw = Raw::connect(&shared, uid, shared.enter(Principal::Uid(uid)));
        raw.send(0, hello(PROTOCOL_VERSION)).await;
        raw.receive().await;
        connections.push(raw);
    }
    for (raw, uid) in connections.iter_mut().zip(&GUESTS[..2]) {
        for id in 1..=4 {
            raw.send(id, list(&name(*uid), "**.nothing", false)).await;
        }
    }
    let before = shared.engine.slices().counts().slices;
    while shared.engine.slices().counts().slices < before + 100 {
        tokio::task::yield_now().await;
    }
    let third = connections.last_mut().unwrap();
    third.send(1, list(&name(GUESTS[2]), "d.*", true)).await;
    let listed = third.receive().await;
    assert_eq!(body::<ListAnswer>(&listed).entries.len(), 3);
}
