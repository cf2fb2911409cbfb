//! Streams of root moves.

use super::fake::{Fake, Peer, at};
use crate::*;
use kvs_proto::{
    Moved, NamespaceRoot, Removed, Request, RootItem, RootMark, RootStarted, RootState, SetRoot,
};
use smol_str::SmolStr;

async fn following(options: FollowOptions) -> (Fake, FollowStream, Peer, u64) {
    let mut fake = Fake::new();
    let (client, mut peer) = fake.connected(Options::default()).await;
    let one = options.namespace.is_some();
    let opening = tokio::spawn(async move { client.follow(options).await });
    let (id, asked) = setroot(&mut peer).await;
    assert_eq!(asked.credit, WATCH_PREFETCH);
    let position = one.then(|| at(10));
    let place = (asked.start == Start::Now).then(|| place(10));
    peer.item_body(id, &RootItem::Started(RootStarted { position, place }))
        .await;
    (fake, opening.await.unwrap().unwrap(), peer, id)
}

async fn setroot(peer: &mut Peer) -> (u64, SetRoot) {
    match peer.request().await {
        (id, Request::SetRoot(asked)) => (id, asked),
        other => panic!("{other:?} instead of setroot"),
    }
}

/// The place behind a version.
fn place(version: u64) -> SmolStr {
    format!("place {version}").into()
}

fn moved(version: u64, key: &str, last: bool) -> RootItem {
    RootItem::Moved(Moved {
        namespace: "primary".into(),
        position: at(version),
        root: format!("root {version}").into(),
        previous: format!("root {}", version - 1).into(),
        snapshot: "".into(),
        time_ms: 0,
        transactions: Vec::new(),
        changes: vec![LogChange::new(key, ChangeKind::Put)],
        last,
        place: place(version),
    })
}

fn state(version: u64) -> RootState {
    RootState {
        lost: false,
        namespaces: vec![NamespaceRoot {
            namespace: "primary".into(),
            owner: 0,
            position: at(version),
            root: "".into(),
        }],
        place: place(version),
    }
}

/// The version and the number of keys of the next move.
async fn next(stream: &mut FollowStream) -> (u64, usize) {
    match stream.recv().await.unwrap() {
        RootEvent::Moved(moved) => (moved.position.version, moved.changes.len()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_move_over_the_limit_comes_in_parts_and_a_loss_among_them_is_told() {
    let (mut fake, mut stream, mut peer, id) = following(FollowOptions::new()).await;
    let long = "k".repeat(ASSEMBLE_BYTES / 2);
    for last in [false, false, false] {
        peer.item_body(id, &moved(11, &long, last)).await;
    }
    assert_eq!(next(&mut stream).await, (11, 2), "so much is held");
    assert_eq!(next(&mut stream).await, (11, 1), "the rest as it comes");
    drop(peer);
    let mut peer = fake.accept().await;
    let (id, asked) = setroot(&mut peer).await;
    assert_eq!(asked.place, Some(place(10)), "the whole move is told again");
    let restart = stream.recv().await.unwrap();
    assert_eq!(restart, RootEvent::Restart(place(10)));
    let started = RootStarted {
        position: None,
        place: Some(place(10)),
    };
    peer.item_body(id, &RootItem::Started(started)).await;
    peer.item_body(id, &moved(11, "a", true)).await;
    assert_eq!(next(&mut stream).await, (11, 1));
}

#[tokio::test]
async fn moves_go_on_after_a_loss_behind_the_last_that_was_whole() {
    for options in [
        FollowOptions::new(),
        FollowOptions::new().namespace("primary"),
    ] {
        let one = options.namespace.is_some();
        let (mut fake, mut stream, mut peer, id) = following(options.clone()).await;
        assert_eq!(stream.started().position, one.then(|| at(10)));
        drop(peer);
        peer = fake.accept().await;
        let (_, asked) = setroot(&mut peer).await;
        assert_eq!(asked.place, Some(place(10)), "nothing was told yet");
        peer.item_body(id, &moved(11, "a", true)).await;
        peer.item_body(id, &moved(12, "a", false)).await;
        assert_eq!(next(&mut stream).await, (11, 1));
        drop(peer);
        let mut peer = fake.accept().await;
        let (_, asked) = setroot(&mut peer).await;
        assert_eq!(asked.place, Some(place(11)));
        assert_eq!(asked.namespace, options.namespace);
        for item in [moved(12, "a", false), moved(12, "b", true)] {
            peer.item_body(id, &item).await;
        }
        assert_eq!(next(&mut stream).await, (12, 2));
    }
}

#[tokio::test]
async fn a_mark_is_where_an_idle_stream_goes_on_and_costs_no_credit() {
    let (mut fake, mut stream, mut peer, id) = following(FollowOptions::new()).await;
    for version in 11..=11 + 2 * WATCH_PREFETCH {
        let mark = RootMark {
            place: place(version),
            requested: false,
        };
        peer.item_body(id, &RootItem::Mark(mark)).await;
    }
    let after = 11 + 2 * WATCH_PREFETCH;
    peer.item_body(id, &moved(after + 1, "a", true)).await;
    assert_eq!(next(&mut stream).await, (after + 1, 1));
    let mark = RootMark {
        place: "marked".into(),
        requested: false,
    };
    peer.item_body(id, &RootItem::Mark(mark)).await;
    peer.item_body(id, &moved(after + 2, "a", false)).await;
    drop(peer);
    let mut peer = fake.accept().await;
    let (_, asked) = setroot(&mut peer).await;
    assert_eq!(asked.place.as_deref(), Some("marked"));
}

#[tokio::test]
async fn a_start_that_was_not_told_yet_is_asked_for_again() {
    let version = Start::Version {
        version: 8,
        incarnation: None,
    };
    let from = FollowOptions {
        start: version,
        ..FollowOptions::new().namespace("primary")
    };
    for options in [from, FollowOptions::new().initial()] {
        let start = options.start.clone();
        let (mut fake, mut stream, peer, id) = following(options).await;
        drop(peer);
        let mut peer = fake.accept().await;
        let (_, asked) = setroot(&mut peer).await;
        assert_eq!((asked.start, asked.place), (start, None));
        peer.item_body(id, &moved(8, "a", true)).await;
        assert_eq!(next(&mut stream).await, (8, 1));
        drop(peer);
        let mut peer = fake.accept().await;
        let (_, asked) = setroot(&mut peer).await;
        assert_eq!(asked.place, Some(place(8)));
    }
}

#[tokio::test]
async fn a_stream_begins_behind_a_place_and_is_told_a_loss_by_the_daemon_alone() {
    let options = FollowOptions::new().behind("elsewhere");
    let (mut fake, mut stream, peer, id) = following(options).await;
    drop(peer);
    let mut peer = fake.accept().await;
    let (_, asked) = setroot(&mut peer).await;
    assert_eq!(asked.place, Some(place(10)));
    let lost = RootState {
        lost: true,
        ..state(20)
    };
    peer.item_body(id, &RootItem::State(lost.clone())).await;
    peer.item_body(id, &moved(21, "a", true)).await;
    assert_eq!(stream.recv().await.unwrap(), RootEvent::State(lost.into()));
    assert_eq!(next(&mut stream).await, (21, 1));
}

#[tokio::test]
async fn a_state_that_was_asked_for_is_not_lost_and_a_removal_ends_the_stream() {
    let options = FollowOptions::new().namespace("primary").initial();
    let (_fake, mut stream, mut peer, id) = following(options).await;
    peer.item_body(id, &RootItem::State(state(10))).await;
    let removed = Removed {
        namespace: "primary".into(),
        time_ms: 0,
        place: place(11),
    };
    peer.item_body(id, &RootItem::Removed(removed.clone()))
        .await;
    peer.error(id, ErrorCode::NoNamespace).await;
    assert_eq!(
        stream.recv().await.unwrap(),
        RootEvent::State(state(10).into())
    );
    assert_eq!(
        stream.recv().await.unwrap(),
        RootEvent::Removed(removed.into())
    );
    assert_eq!(
        stream.recv().await.unwrap_err().code,
        ErrorCode::NoNamespace
    );
}
