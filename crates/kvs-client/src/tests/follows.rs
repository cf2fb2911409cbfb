//! Streams of root moves.

use super::fake::{Fake, Peer, at};
use crate::*;
use kvs_proto::{Request, RootItem, SetRoot};

async fn following(options: FollowOptions) -> (Fake, FollowStream, Peer, u64) {
    let mut fake = Fake::new();
    let (client, mut peer) = fake.connected(Options::default()).await;
    let one = options.namespace.is_some();
    let opening = tokio::spawn(async move { client.follow(options).await });
    let (id, asked) = setroot(&mut peer).await;
    assert_eq!(asked.credit, WATCH_PREFETCH);
    let position = one.then(|| at(10));
    peer.item_body(id, &RootItem::Started(RootStarted { position }))
        .await;
    (fake, opening.await.unwrap().unwrap(), peer, id)
}

async fn setroot(peer: &mut Peer) -> (u64, SetRoot) {
    match peer.request().await {
        (id, Request::SetRoot(asked)) => (id, asked),
        other => panic!("{other:?} instead of setroot"),
    }
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
        changes: vec![LogChange {
            key: key.into(),
            kind: ChangeKind::Put,
        }],
        last,
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
    }
}

/// The version and the number of keys of the next move.
async fn next(stream: &mut FollowStream) -> (u64, usize) {
    match stream.next().await.unwrap() {
        RootEvent::Moved(moved) => (moved.position.version, moved.changes.len()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn moves_of_one_namespace_go_on_after_a_loss_each_once_and_whole() {
    let options = FollowOptions::new().namespace("primary");
    let (mut fake, mut stream, mut peer, id) = following(options).await;
    assert_eq!(stream.started().position, Some(at(10)));
    peer.item_body(id, &moved(11, "a", true)).await;
    peer.item_body(id, &moved(12, "a", false)).await;
    assert_eq!(next(&mut stream).await, (11, 1));
    drop(peer);
    let mut peer = fake.accept().await;
    let (_, asked) = setroot(&mut peer).await;
    let after = Start::Version {
        version: 12,
        incarnation: Some(1),
    };
    assert_eq!(asked.start, after);
    for item in [
        moved(11, "a", true),
        moved(12, "a", false),
        moved(12, "b", true),
    ] {
        peer.item_body(id, &item).await;
    }
    assert_eq!(next(&mut stream).await, (12, 2));
}

#[tokio::test]
async fn what_all_namespaces_did_while_away_is_told_as_a_state() {
    let (mut fake, mut stream, mut peer, id) = following(FollowOptions::new()).await;
    peer.item_body(id, &moved(11, "a", true)).await;
    assert_eq!(next(&mut stream).await, (11, 1));
    drop(peer);
    let mut peer = fake.accept().await;
    assert_eq!(setroot(&mut peer).await.1.start, Start::Initial);
    peer.item_body(id, &RootItem::State(state(20))).await;
    peer.item_body(id, &moved(21, "a", true)).await;
    let lost = RootState {
        lost: true,
        ..state(20)
    };
    assert_eq!(stream.next().await.unwrap(), RootEvent::State(lost));
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
    };
    peer.item_body(id, &RootItem::Removed(removed.clone()))
        .await;
    peer.error(id, ErrorCode::NoNamespace).await;
    assert_eq!(stream.next().await.unwrap(), RootEvent::State(state(10)));
    assert_eq!(stream.next().await.unwrap(), RootEvent::Removed(removed));
    assert_eq!(
        stream.next().await.unwrap_err().code,
        ErrorCode::NoNamespace
    );
}
