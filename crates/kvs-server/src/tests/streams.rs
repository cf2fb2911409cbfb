//! Streams of a connection: credit, turns, bookmarks, awaited namespaces, root moves.

use std::task::{Context as TaskContext, Waker};
use std::time::Duration;

use kvs_engine::Principal;
use kvs_proto::{
    Credit, Empty, ErrorCode, MarkRequest, Request, RootItem, STREAMS, Scope, ScopeKind, SetRoot,
    Start, Status, Watch, WatchItem,
};

use std::sync::Arc;

use super::super::account::{Account, Aside};
use super::super::outbox::Outbox;
use super::super::streams::Streams;
use super::{CALLER, Raw, body, commit, daemon, wait, watch};
use crate::limits::{MARK_VERSIONS, OUTGOING_EVENT_BYTES, SHARED_BODY_BYTES, STREAM_TURNS};

/// A watch from now on of a key that is never written.
fn idle(credit: u64) -> Watch {
    Watch {
        scopes: vec![Scope {
            kind: ScopeKind::Key,
            text: "idle".into(),
        }],
        start: Start::Now,
        ..watch(credit)
    }
}

/// The version of a bookmark, and whether it was requested.
fn mark(item: WatchItem) -> (u64, bool) {
    match item {
        WatchItem::Mark(mark) => (mark.position.version, mark.requested),
        other => panic!("{other:?}"),
    }
}

/// The next frame, within a minute; without a timeout a paused clock would run forever.
async fn soon(raw: &mut Raw) -> kvs_proto::Frame {
    let minute = Duration::from_secs(60);
    tokio::time::timeout(minute, raw.receive()).await.unwrap()
}

/// The version of changes.
fn version(item: WatchItem) -> u64 {
    match item {
        WatchItem::Changes(changes) => changes.position.version,
        other => panic!("{other:?}"),
    }
}

/// An empty set of streams of the instance owner.
fn no_streams() -> Streams {
    let account = Arc::new(Account::owner());
    Streams::new(Aside::new(&account), crate::limits::STREAM_TURNS)
}

#[tokio::test]
async fn a_watch_sends_as_many_items_as_it_has_credit() {
    let shared = daemon().await;
    for number in 1..=5 {
        commit(&shared, number, "x").await;
    }
    let mut raw = Raw::open(&shared).await;
    raw.send(1, watch(2)).await;
    raw.send(2, wait(5)).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let frame = raw.receive().await;
        if frame.id == 1 {
            seen.push(body::<WatchItem>(&frame));
        }
    }
    assert!(matches!(seen.remove(0), WatchItem::Started(_)));
    assert_eq!(seen.into_iter().map(version).collect::<Vec<_>>(), [1, 2]);
    raw.send(1, Credit { add: 1, bytes: 0 }).await;
    assert_eq!(version(body(&raw.receive().await)), 3);
    raw.send(1, Request::Cancel(Empty {})).await;
    let frame = raw.receive().await;
    assert_eq!((frame.id, frame.tag), (1, Status::Final.code()));
}

#[tokio::test]
async fn one_stream_too_many_is_refused_and_the_others_live_on() {
    let shared = daemon().await;
    let mut raw = Raw::open(&shared).await;
    for id in 0..STREAMS as u64 {
        raw.send(id, watch(10)).await;
        assert!(matches!(body(&raw.receive().await), WatchItem::Started(_)));
    }
    raw.send(STREAMS as u64, watch(10)).await;
    assert_eq!(raw.refused().await, (STREAMS as u64, ErrorCode::Limit));
    raw.send(0, Request::Cancel(Empty {})).await;
    assert_eq!(raw.receive().await.id, 0);
    raw.send(STREAMS as u64, watch(10)).await;
    assert!(matches!(body(&raw.receive().await), WatchItem::Started(_)));
}

#[tokio::test]
async fn ready_watches_have_their_turn_one_after_the_other() {
    let shared = daemon().await;
    for number in 1..=10 {
        commit(&shared, number, "x").await;
    }
    let mut raw = Raw::open(&shared).await;
    for id in 1..=3 {
        raw.queue(id, watch(100));
    }
    raw.0.flush().await.unwrap();
    let mut order = Vec::new();
    while order.len() < 30 {
        let frame = raw.receive().await;
        if let WatchItem::Changes(changes) = body(&frame) {
            order.push((changes.position.version, frame.id));
        }
    }
    let mut fair: Vec<_> = (1..=10)
        .flat_map(|v| (1..=3).map(move |id| (v, id)))
        .collect();
    fair.sort_unstable();
    assert_eq!(order, fair);
}

#[tokio::test]
async fn a_reader_that_does_not_read_costs_a_bounded_buffer() {
    let shared = daemon().await;
    for number in 1..=200 {
        commit(&shared, number, vec![b'x'; 20_000]).await;
    }
    let (mut streams, mut out) = (no_streams(), Outbox::default());
    streams
        .open_watch(&shared.engine, CALLER, 1, watch(10_000), &mut out)
        .unwrap();
    let mut cx = TaskContext::from_waker(Waker::noop());
    while streams.poll(&mut cx, &mut out) {}
    assert!(out.len() > OUTGOING_EVENT_BYTES, "{}", out.len());
    assert!(out.len() < OUTGOING_EVENT_BYTES + 30_000, "{}", out.len());
}

#[tokio::test]
async fn credit_by_bytes_is_paid_back_before_the_next_item() {
    let shared = daemon().await;
    for number in 1..=3 {
        commit(&shared, number, vec![b'x'; 1000]).await;
    }
    let mut raw = Raw::open(&shared).await;
    let one = Watch {
        credit_bytes: Some(1),
        ..watch(100)
    };
    raw.send(1, one).await;
    assert!(matches!(body(&raw.receive().await), WatchItem::Started(_)));
    let frame = raw.receive().await;
    let cost = frame.body.len() as u64;
    assert_eq!(version(body(&frame)), 1);
    // One byte was left, so this leaves none.
    let back = |bytes| Credit { add: 0, bytes };
    raw.send(1, back(cost - 1)).await;
    raw.send(2, wait(1)).await;
    assert_eq!(raw.receive().await.id, 2);
    raw.send(1, back(1)).await;
    assert_eq!(version(body(&raw.receive().await)), 2);
    raw.send(1, back(10 * cost)).await;
    assert_eq!(version(body(&raw.receive().await)), 3);
}

#[tokio::test]
async fn a_watch_without_credit_delays_no_other_of_its_connection() {
    let shared = daemon().await;
    let mut raw = Raw::open(&shared).await;
    for (id, credit) in [(1, 0), (2, 100), (3, 0)] {
        raw.send(id, watch(credit)).await;
        assert!(matches!(body(&raw.receive().await), WatchItem::Started(_)));
    }
    for number in 1..=50 {
        commit(&shared, number, "x").await;
        let frame = raw.receive().await;
        assert_eq!((frame.id, version(body(&frame))), (2, number));
    }
    raw.send(3, Credit { add: 1, bytes: 0 }).await;
    let frame = raw.receive().await;
    assert_eq!((frame.id, version(body(&frame))), (3, 1));
}

#[tokio::test]
async fn a_stream_in_the_place_of_another_gets_its_own_events_only() {
    let shared = daemon().await;
    let mut raw = Raw::open(&shared).await;
    for id in 1..=20 {
        raw.send(id, watch(10)).await;
        assert!(matches!(body(&raw.receive().await), WatchItem::Started(_)));
        raw.send(id, Request::Cancel(Empty {})).await;
        assert_eq!(raw.receive().await.tag, Status::Final.code());
    }
    raw.send(30, watch(10)).await;
    raw.send(31, idle(10)).await;
    for _ in 0..2 {
        assert!(matches!(body(&raw.receive().await), WatchItem::Started(_)));
    }
    commit(&shared, 1, "x").await;
    let frame = raw.receive().await;
    assert_eq!((frame.id, version(body(&frame))), (30, 1));
    raw.send(32, wait(1)).await;
    assert_eq!(raw.receive().await.id, 32);
}

#[tokio::test]
async fn one_poll_gives_a_bounded_number_of_turns() {
    let shared = daemon().await;
    commit(&shared, 1, "x").await;
    let (mut streams, mut out) = (no_streams(), Outbox::default());
    for id in 0..2 * STREAM_TURNS as u64 {
        streams
            .open_watch(&shared.engine, CALLER, id, watch(10), &mut out)
            .unwrap();
    }
    let mut cx = TaskContext::from_waker(Waker::noop());
    let before = out.len();
    assert!(streams.poll(&mut cx, &mut out));
    let first = out.len() - before;
    assert!(streams.poll(&mut cx, &mut out));
    assert!(first > 0 && out.len() - before >= 2 * first);
    while streams.poll(&mut cx, &mut out) {}
}

#[tokio::test]
async fn a_bookmark_that_is_asked_for_tells_how_far_a_watch_is() {
    let shared = daemon().await;
    let mut raw = Raw::open(&shared).await;
    raw.send(1, idle(10)).await;
    raw.send(2, watch(0)).await;
    for _ in 0..2 {
        assert!(matches!(body(&raw.receive().await), WatchItem::Started(_)));
    }
    commit(&shared, 1, "x").await;
    for (id, version) in [(1, 1), (1, 1), (2, 0)] {
        raw.send(id, MarkRequest {}).await;
        let frame = raw.receive().await;
        assert_eq!((frame.id, mark(body(&frame))), (id, (version, true)));
    }
}

#[tokio::test(start_paused = true)]
async fn idle_watches_are_told_where_they_are_at_their_interval() {
    let shared = daemon().await;
    let mut raw = Raw::open(&shared).await;
    for (id, interval) in [(1, 1000), (2, 0), (3, 5000)] {
        let watch = Watch {
            mark_interval_ms: interval,
            ..idle(10)
        };
        raw.send(id, watch).await;
        assert!(matches!(body(&raw.receive().await), WatchItem::Started(_)));
    }
    // Without progress there is no bookmark.
    tokio::time::sleep(Duration::from_millis(10_500)).await;
    commit(&shared, 1, "x").await;
    let mut told = Vec::new();
    for _ in 0..2 {
        let frame = soon(&mut raw).await;
        told.push((frame.id, mark(body(&frame))));
    }
    assert_eq!(told, [(1, (1, false)), (3, (1, false))]);
    commit(&shared, 2, "x").await;
    let frame = soon(&mut raw).await;
    assert_eq!((frame.id, mark(body(&frame))), (1, (2, false)));
}

#[tokio::test]
async fn a_watch_ends_with_its_namespace_even_without_credit() {
    let shared = daemon().await;
    let engine = &shared.engine;
    engine.create_namespace(CALLER, "n", None).await.unwrap();
    let mut raw = Raw::open(&shared).await;
    let one = Watch {
        namespace: "n".into(),
        ..idle(0)
    };
    raw.send(1, one).await;
    assert!(matches!(body(&raw.receive().await), WatchItem::Started(_)));
    engine.remove_namespace(CALLER, "n").await.unwrap();
    assert_eq!(raw.refused().await, (1, ErrorCode::NoNamespace));
}

#[tokio::test]
async fn a_watch_waits_for_its_namespace_and_misses_nothing_of_it() {
    let shared = daemon().await;
    let engine = &shared.engine;
    let mut raw = Raw::open(&shared).await;
    let one = Watch {
        namespace: "n".into(),
        start: Start::Now,
        ..watch(10)
    };
    raw.send(1, one.clone()).await;
    assert_eq!(raw.refused().await, (1, ErrorCode::NoNamespace));
    let waiting = Watch {
        wait_create: true,
        ..one
    };
    for id in [1, 2] {
        raw.send(id, waiting.clone()).await;
        assert!(matches!(body(&raw.receive().await), WatchItem::Absent {}));
    }
    raw.send(2, Request::Cancel(Empty {})).await;
    assert_eq!(raw.receive().await.tag, Status::Final.code());
    engine.create_namespace(CALLER, "n", None).await.unwrap();
    let request = super::put(1, "k", "x");
    let request = kvs_proto::Commit {
        namespace: "n".into(),
        ..request
    };
    let request = super::super::incoming::commit(CALLER, [9; 16], request).unwrap();
    engine.commit(request).await.unwrap();
    let frame = raw.receive().await;
    assert_eq!(frame.id, 1);
    assert!(matches!(body(&frame), WatchItem::Started(_)));
    let frame = raw.receive().await;
    assert_eq!((frame.id, version(body(&frame))), (1, 1));
}

#[tokio::test]
async fn root_moves_of_all_namespaces_are_told_with_their_keys() {
    let shared = daemon().await;
    let mut raw = Raw::open(&shared).await;
    let asked = SetRoot {
        credit: 10,
        ..SetRoot::default()
    };
    raw.send(1, asked.clone()).await;
    let one = SetRoot {
        namespace: Some("primary".into()),
        ..asked
    };
    raw.send(2, one).await;
    let mut starts = Vec::new();
    for _ in 0..2 {
        match body(&raw.receive().await) {
            RootItem::Started(started) => starts.push(started.position.map(|at| at.version)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(starts, [None, Some(0)]);
    commit(&shared, 1, "x").await;
    for _ in 0..2 {
        let RootItem::Moved(moved) = body(&raw.receive().await) else {
            panic!()
        };
        assert_eq!(
            (moved.namespace.as_str(), moved.position.version),
            ("primary", 1)
        );
        assert_eq!((moved.changes[0].key.as_str(), moved.last), ("k", true));
        assert_ne!(moved.root, moved.previous);
    }
    let engine = &shared.engine;
    engine.create_namespace(CALLER, "n", None).await.unwrap();
    engine.remove_namespace(CALLER, "n").await.unwrap();
    let made: RootItem = body(&raw.receive().await);
    assert!(matches!(made, RootItem::Created(made) if made.namespace == "n"));
    let gone: RootItem = body(&raw.receive().await);
    assert!(matches!(gone, RootItem::Removed(gone) if gone.namespace == "n"));
}

#[tokio::test]
async fn watches_of_one_scope_share_one_encoded_body() {
    let shared = daemon().await;
    let (mut streams, mut others) = (no_streams(), no_streams());
    let (mut out, mut other) = (Outbox::default(), Outbox::default());
    let mut cx = TaskContext::from_waker(Waker::noop());
    for (streams, out) in [(&mut streams, &mut out), (&mut others, &mut other)] {
        streams
            .open_watch(&shared.engine, CALLER, 1, watch(10), out)
            .unwrap();
        while streams.poll(&mut cx, out) {}
    }
    commit(&shared, 1, vec![b'x'; 2 * SHARED_BODY_BYTES]).await;
    for (streams, out) in [(&mut streams, &mut out), (&mut others, &mut other)] {
        while streams.poll(&mut cx, out) {}
    }
    assert!(out.shared().is_some() && out.shared() == other.shared());
}

#[tokio::test]
async fn a_right_that_is_gone_ends_streams_of_root_moves_also_without_credit() {
    let shared = daemon().await;
    let (engine, guest) = (&shared.engine, Principal::Uid(4242));
    let made = engine.create_namespace(CALLER, "n", Some(guest));
    made.await.unwrap();
    let (mut streams, mut out) = (no_streams(), Outbox::default());
    let mut cx = TaskContext::from_waker(Waker::noop());
    let asked = |credit| SetRoot {
        namespace: Some("n".into()),
        credit,
        ..SetRoot::default()
    };
    for credit in [0, 10] {
        let opened = streams.open_roots(engine, guest, credit, &asked(credit), &mut out);
        opened.unwrap();
    }
    let of_all = SetRoot {
        namespace: None,
        ..asked(10)
    };
    let opened = streams.open_roots(engine, guest, 20, &of_all, &mut out);
    opened.unwrap();
    while streams.poll(&mut cx, &mut out) {}
    assert_eq!(streams.len(), 3);
    engine
        .chown_namespace(CALLER, "n", Principal::Uid(4243))
        .await
        .unwrap();
    while streams.poll(&mut cx, &mut out) {}
    assert_eq!(streams.len(), 1, "that of all goes on");
    assert!(streams.contains(20));
}

#[tokio::test]
async fn who_follows_roots_is_told_how_far_though_nothing_concerns_it() {
    let shared = daemon().await;
    let guest = Principal::Uid(4242);
    let (mut streams, mut out) = (no_streams(), Outbox::default());
    let mut cx = TaskContext::from_waker(Waker::noop());
    let asked = SetRoot {
        credit: 1,
        ..SetRoot::default()
    };
    let opened = streams.open_roots(&shared.engine, guest, 1, &asked, &mut out);
    opened.unwrap();
    while streams.poll(&mut cx, &mut out) {}
    let started = out.len();
    for number in 1..=MARK_VERSIONS {
        assert_eq!(out.len(), started, "not for each of them");
        commit(&shared, number, "x").await;
        while streams.poll(&mut cx, &mut out) {}
    }
    assert!(out.len() > started);
    let before = out.len();
    streams.mark(1, &mut out);
    assert!(out.len() > before, "and when it asks");
}
