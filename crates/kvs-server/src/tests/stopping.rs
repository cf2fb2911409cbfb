//! What a daemon that shuts down answers to requests that it does not wait for.

use super::*;
use kvs_proto::{List, Scope, ScopeKind, SetRoot};

/// The error answers until the end of the connection, by request id.
async fn ends(raw: &mut Raw) -> HashMap<u64, (ErrorCode, String)> {
    let mut ends = HashMap::new();
    while let Some(frame) = raw.0.read_frame().await.unwrap() {
        if frame.tag == Status::Error.code() {
            let error: ErrorBody = body(&frame);
            ends.insert(frame.id, (error.kind(), error.message));
        }
    }
    ends
}

#[tokio::test]
async fn streams_and_waits_end_as_unavailable() {
    let shared = daemon().await;
    let mut raw = Raw::open(&shared).await;
    let absent = Watch {
        namespace: "absent".into(),
        wait_create: true,
        ..watch(10)
    };
    let roots = SetRoot {
        namespace: Some("primary".into()),
        ..SetRoot::default()
    };
    raw.send(1, watch(10)).await;
    raw.send(2, watch(0)).await;
    raw.send(3, absent).await;
    raw.send(4, roots).await;
    raw.send(5, SetRoot::default()).await;
    for _ in 1..=5 {
        raw.receive().await;
    }
    raw.send(6, wait(1_000)).await;
    // Requests begin in order of arrival.
    raw.send(7, put(1, "a", "x")).await;
    while raw.receive().await.id != 7 {}
    shared.stop.cancel();
    let ends = ends(&mut raw).await;
    for id in 1..=6 {
        let (code, message) = ends.get(&id).unwrap_or_else(|| panic!("{id}: {ends:?}"));
        assert_eq!(*code, ErrorCode::Unavailable, "{id}");
        assert!(message.starts_with(kvs_proto::SHUTTING_DOWN), "{message}");
    }
    assert_eq!(ends.len(), 6);
}

#[tokio::test]
async fn a_list_of_a_huge_tree_does_not_hold_up_a_stop() {
    let shared = daemon().await;
    let primary = client(&shared).await.namespace("primary");
    primary.put("d.a", "1").await.unwrap();
    for _ in 0..35 {
        let double = Transaction::new()
            .mkdir("n")
            .copy("d", "n.y")
            .rename("d", "n.x")
            .rename("n", "d");
        primary.commit(double).await.unwrap();
    }
    let mut raw = Raw::open(&shared).await;
    let list = List {
        namespace: "primary".into(),
        key: ".".into(),
        at: wire::At::Current,
        after: None,
        limit: 0,
        recursive: true,
        scope: Some(Scope {
            kind: ScopeKind::Glob,
            text: "**.nothing".into(),
        }),
        inline_max: None,
        bounded: false,
    };
    raw.send(1, list).await;
    raw.send(2, put(1, "a", "x")).await;
    assert_eq!(raw.receive().await.id, 2, "the list is at work");
    shared.stop.cancel();
    let ends = ends(&mut raw).await;
    let end = ends.get(&1).map(|(code, _)| *code);
    assert_eq!(end, Some(ErrorCode::Unavailable));
}

#[tokio::test]
async fn a_connection_without_a_hello_does_not_hold_up_a_stop() {
    let shared = daemon().await;
    let mut raw = Raw::connect(&shared, OWNER, Admission::Served);
    tokio::task::yield_now().await;
    shared.stop.cancel();
    assert!(raw.ended().await);
}
