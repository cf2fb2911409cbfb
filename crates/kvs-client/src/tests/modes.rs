//! Resuming in every mode, bookmarks, and waiting for a namespace.

use super::fake::{Fake, Peer, at, part};
use crate::*;
use kvs_proto::{Behind, Changes, Gap, Initial, Mark, MarkRequest, Request, Watch, WatchItem};

async fn opening(options: WatchOptions) -> (Fake, Opening, Peer, u64, Watch) {
    let mut fake = Fake::new();
    let (client, mut peer) = fake.connected(Options::default()).await;
    let primary = client.namespace("primary");
    let opening = tokio::spawn(async move { primary.watch(options).await });
    let (id, watch) = peer.watch().await;
    (fake, opening, peer, id, watch)
}

type Opening = tokio::task::JoinHandle<Result<WatchStream, ClientError>>;

async fn watching(options: WatchOptions) -> (Fake, WatchStream, Peer, u64) {
    let (fake, opening, mut peer, id, _) = opening(options).await;
    peer.started(id, 10).await;
    (fake, opening.await.unwrap().unwrap(), peer, id)
}

fn changes(version: u64, changes: Vec<Change>) -> WatchItem {
    let WatchItem::Changes(empty) = part(version, "", true) else {
        panic!()
    };
    WatchItem::Changes(Changes { changes, ..empty })
}

fn state(version: u64, differences: bool, entries: Vec<Change>) -> WatchItem {
    WatchItem::Initial(Initial {
        position: at(version),
        root: "".into(),
        snapshot: format!("primary@{version}:x").into(),
        time_ms: 0,
        differences,
        entries,
        last: true,
    })
}

fn gap(from: Position, to: Position) -> WatchItem {
    let snapshot = "".into();
    WatchItem::Gap(Gap { from, to, snapshot })
}

fn put(key: &str, value: &'static str) -> Change {
    Change::new(key, ChangeKind::Put, ChangeValue::Bytes(value.into()))
}

fn append(offset: u64, value: &'static str) -> Change {
    let mut append = Change::new("k", ChangeKind::Append, ChangeValue::Bytes(value.into()));
    append.offset = Some(offset);
    append
}

fn mark(version: u64, requested: bool) -> WatchItem {
    let position = at(version);
    WatchItem::Mark(Mark {
        position,
        requested,
    })
}

fn after(version: u64) -> Start {
    Start::Version {
        version: version + 1,
        incarnation: Some(1),
    }
}

/// The version and the keys with their values of the next event.
async fn next(stream: &mut WatchStream) -> (u64, String) {
    let (version, changes) = match stream.recv().await.unwrap() {
        Event::Changes(changes) => (changes.position.version, changes.changes),
        Event::Initial(initial) => (initial.position.version, initial.entries),
        other => panic!("{other:?}"),
    };
    let text = |change: Change| match change.value {
        ChangeValue::Bytes(bytes) => format!("{}={}", change.key, String::from_utf8_lossy(&bytes)),
        _ => format!("{}!", change.key),
    };
    let all: Vec<String> = changes.into_iter().map(text).collect();
    (version, all.join(" "))
}

#[tokio::test]
async fn a_watch_asks_for_what_its_options_say() {
    let options = WatchOptions::new()
        .key("a")
        .append(9)
        .initial()
        .keys_only()
        .with_previous()
        .wait_create()
        .mark_interval(std::time::Duration::from_secs(2))
        .prefetch(3)
        .prefetch_bytes(99)
        .inline_max(7);
    let (_fake, _opening, _peer, _, watch) = opening(options).await;
    let asked = Watch {
        scopes: vec![Scope {
            kind: ScopeKind::Key,
            text: "a".into(),
        }],
        start: Start::Initial,
        mode: Mode::Append { offset: 9 },
        values: false,
        previous: true,
        wait_create: true,
        credit: 3,
        credit_bytes: Some(99),
        mark_interval_ms: 2000,
        inline_max: Some(7),
        ..Watch::new("primary")
    };
    assert_eq!(watch, asked);
}

#[tokio::test]
async fn latest_gets_credit_for_one_event_when_it_is_asked_for() {
    let (mut fake, mut stream, mut peer, id) = watching(WatchOptions::new().latest()).await;
    peer.item(id, changes(11, vec![put("k", "a")])).await;
    assert_eq!(next(&mut stream).await, (11, "k=a".into()));
    // The event is being handled: the daemon may not send one that would be old when it is taken.
    drop(peer);
    let mut peer = fake.accept().await;
    let (_, watch) = peer.watch().await;
    assert_eq!(
        (watch.start, watch.mode, watch.credit),
        (after(11), Mode::Latest, 0)
    );
    peer.started(id, 11).await;
    let taking = tokio::spawn(async move { next(&mut stream).await });
    let (_, request) = peer.request().await;
    assert!(matches!(request, Request::Credit(credit) if credit.add == 1));
    peer.item(id, changes(15, vec![put("k", "b")])).await;
    assert_eq!(taking.await.unwrap(), (15, "k=b".into()));
}

#[tokio::test]
async fn append_resumes_at_the_byte_that_was_handed_out() {
    let options = WatchOptions::new().key("k").append(3).initial();
    let (mut fake, mut stream, peer, id) = watching(options).await;
    let mode = |watch: &Watch| watch.mode;
    drop(peer);
    let mut peer = fake.accept().await;
    let (_, watch) = peer.watch().await;
    assert_eq!(
        (mode(&watch), watch.start),
        (Mode::Append { offset: 3 }, Start::Initial)
    );
    peer.item(id, state(10, false, vec![append(3, "de")])).await;
    peer.item(id, changes(11, vec![append(5, "f")])).await;
    assert_eq!(next(&mut stream).await, (10, "k=de".into()));
    assert_eq!(next(&mut stream).await, (11, "k=f".into()));
    drop(peer);
    let mut peer = fake.accept().await;
    let (_, watch) = peer.watch().await;
    assert_eq!(
        (mode(&watch), watch.start),
        (Mode::Append { offset: 6 }, after(11))
    );
    peer.item(id, changes(12, vec![put("k", "new")])).await;
    assert_eq!(next(&mut stream).await, (12, "k=new".into()));
    drop(peer);
    let (_, watch) = fake.accept().await.watch().await;
    assert_eq!(
        (mode(&watch), watch.start),
        (Mode::Append { offset: 3 }, after(12))
    );
}

#[tokio::test]
async fn append_forgets_the_bytes_of_a_version_that_comes_again() {
    let options = WatchOptions {
        assemble_bytes: 0,
        ..WatchOptions::new().key("k").append(3)
    };
    let (mut fake, mut stream, mut peer, id) = watching(options).await;
    let WatchItem::Changes(whole) = changes(11, vec![append(3, "de")]) else {
        panic!()
    };
    let part = Changes {
        last: false,
        ..whole
    };
    peer.item(id, WatchItem::Changes(part)).await;
    assert_eq!(next(&mut stream).await, (11, "k=de".into()));
    drop(peer);
    let (_, watch) = fake.accept().await.watch().await;
    assert_eq!(
        (watch.mode, watch.start),
        (Mode::Append { offset: 3 }, after(10))
    );
}

#[tokio::test]
async fn unique_hands_out_no_equal_value_twice_across_a_resume() {
    let (mut fake, mut stream, mut peer, id) = watching(WatchOptions::new().unique()).await;
    peer.item(id, changes(11, vec![put("a", "x"), put("b", "y")]))
        .await;
    assert_eq!(next(&mut stream).await, (11, "a=x b=y".into()));
    drop(peer);
    let mut peer = fake.accept().await;
    assert_eq!(peer.watch().await.1.start, after(11));
    // The daemon could not tell: it begins with what it has.
    peer.item(id, changes(12, vec![put("a", "x")])).await;
    peer.item(id, changes(13, vec![put("a", "x"), put("b", "z")]))
        .await;
    assert_eq!(next(&mut stream).await, (13, "b=z".into()));
    peer.item(id, changes(14, vec![put("b", "z")])).await;
    drop(peer);
    // What was left out is behind the place to resume from, and gave its credit back.
    let (_, watch) = fake.accept().await.watch().await;
    assert_eq!((watch.start, watch.credit), (after(14), WATCH_PREFETCH - 2));
}

#[tokio::test]
async fn unique_takes_a_fresh_state_after_a_gap_as_it_is() {
    let (_fake, mut stream, mut peer, id) = watching(WatchOptions::new().unique()).await;
    peer.item(id, changes(11, vec![put("a", "x"), put("b", "y")]))
        .await;
    next(&mut stream).await;
    peer.item(id, gap(at(11), at(20))).await;
    peer.item(id, state(20, false, vec![put("a", "x")])).await;
    peer.item(id, changes(21, vec![put("b", "y")])).await;
    assert!(matches!(stream.recv().await.unwrap(), Event::Gap(_)));
    assert_eq!(next(&mut stream).await, (20, "a=x".into()));
    assert_eq!(next(&mut stream).await, (21, "b=y".into()));
}

#[tokio::test]
async fn a_gap_to_another_incarnation_is_not_forgotten_by_a_loss() {
    let options = WatchOptions::new().after(at(10));
    let (mut fake, opening, mut peer, id, _) = opening(options).await;
    let new = |version| Position {
        incarnation: 2,
        version,
    };
    peer.item(
        id,
        WatchItem::Started(kvs_proto::Started { position: new(3) }),
    )
    .await;
    let mut stream = opening.await.unwrap().unwrap();
    drop(peer);
    let mut peer = fake.accept().await;
    assert_eq!(peer.watch().await.1.start, after(10));
    peer.item(id, gap(at(10), new(3))).await;
    let WatchItem::Initial(initial) = state(3, true, vec![put("a", "x")]) else {
        panic!()
    };
    let position = new(3);
    peer.item(
        id,
        WatchItem::Initial(Initial {
            position,
            ..initial
        }),
    )
    .await;
    assert!(matches!(stream.recv().await.unwrap(), Event::Gap(_)));
    assert_eq!(next(&mut stream).await, (3, "a=x".into()));
    assert_eq!(stream.position(), Some(new(3)));
}

#[tokio::test]
async fn a_mark_is_handed_out_if_asked_for_and_asked_for_again_after_a_loss() {
    let (mut fake, mut stream, mut peer, id) = watching(WatchOptions::new()).await;
    peer.item(id, mark(12, false)).await;
    stream.request_mark();
    assert_eq!(peer.request().await, (id, Request::Mark(MarkRequest {})));
    drop(peer);
    let mut peer = fake.accept().await;
    assert_eq!(peer.watch().await.1.start, after(12));
    assert_eq!(peer.request().await, (id, Request::Mark(MarkRequest {})));
    peer.item(id, mark(15, true)).await;
    assert_eq!(stream.recv().await.unwrap(), Event::Mark(at(15)));
    assert_eq!(stream.position(), Some(at(15)));
    drop(peer);
    let mut peer = fake.accept().await;
    assert_eq!(peer.watch().await.1.start, after(15));
    peer.item(id, mark(16, false)).await;
    peer.item(id, changes(17, vec![put("a", "x")])).await;
    assert_eq!(next(&mut stream).await.0, 17);
}

#[tokio::test]
async fn marks_at_an_interval_are_events() {
    let interval = std::time::Duration::from_secs(1);
    let options = WatchOptions::new().mark_interval(interval);
    let (_fake, mut stream, mut peer, id) = watching(options).await;
    peer.item(id, mark(12, false)).await;
    assert_eq!(stream.recv().await.unwrap(), Event::Mark(at(12)));
}

#[tokio::test]
async fn a_namespace_that_is_waited_for_loses_nothing_though_it_is_made_while_away() {
    let (mut fake, opening, mut peer, id, watch) = opening(WatchOptions::new().wait_create()).await;
    assert!(watch.wait_create && watch.start == Start::Now);
    peer.item(id, WatchItem::Absent {}).await;
    let mut stream = opening.await.unwrap().unwrap();
    assert_eq!(stream.started(), None);
    drop(peer);
    let mut peer = fake.accept().await;
    let (_, watch) = peer.watch().await;
    let first = Start::Version {
        version: 1,
        incarnation: None,
    };
    assert!(watch.wait_create && watch.start == first);
    peer.started(id, 4).await;
    peer.item(id, changes(1, vec![put("a", "x")])).await;
    assert_eq!(stream.recv().await.unwrap(), Event::Created(at(0)));
    assert_eq!(next(&mut stream).await, (1, "a=x".into()));
    drop(peer);
    let mut peer = fake.accept().await;
    let (_, watch) = peer.watch().await;
    assert!(!watch.wait_create && watch.start == after(1));
    peer.error(id, ErrorCode::NoNamespace).await;
    assert_eq!(
        stream.recv().await.unwrap_err().code,
        ErrorCode::NoNamespace
    );
}

#[tokio::test]
async fn a_namespace_that_is_made_while_waiting_is_told() {
    let options = WatchOptions::new().wait_create().initial();
    let (_fake, opening, mut peer, id, _) = opening(options).await;
    peer.item(id, WatchItem::Absent {}).await;
    let mut stream = opening.await.unwrap().unwrap();
    peer.started(id, 0).await;
    peer.item(id, state(0, false, Vec::new())).await;
    assert_eq!(stream.recv().await.unwrap(), Event::Created(at(0)));
    assert_eq!(next(&mut stream).await, (0, "".into()));
}

#[tokio::test]
async fn an_item_that_cannot_be_read_ends_its_stream_and_no_other() {
    let (_fake, mut stream, mut peer, id) = watching(WatchOptions::new()).await;
    peer.item_body(id, &["unknown"]).await;
    assert_eq!(stream.recv().await.unwrap_err().code, ErrorCode::BadRequest);
    let cancel = Request::Cancel(kvs_proto::Empty {});
    assert_eq!(peer.request().await, (id, cancel));
}

#[tokio::test]
async fn what_is_behind_a_link_into_another_namespace_is_handed_out_at_whatever_position() {
    let (mut fake, mut stream, mut peer, id) = watching(WatchOptions::new().key("k")).await;
    let behind = |version, value| {
        let WatchItem::Changes(one) = changes(version, vec![put("k", value)]) else {
            panic!()
        };
        let behind = Some(Behind {
            namespace: "other".into(),
            position: Some(at(3)),
            snapshot: "other@3:x".into(),
        });
        WatchItem::Changes(Changes { behind, ..one })
    };
    peer.item(id, behind(10, "a")).await;
    peer.item(id, behind(10, "b")).await;
    peer.item(id, changes(12, vec![put("k", "c")])).await;
    peer.item(id, behind(11, "d")).await;
    for (version, told) in [(10, "k=a"), (10, "k=b"), (12, "k=c"), (11, "k=d")] {
        assert_eq!(next(&mut stream).await, (version, told.into()));
    }
    // It goes on from the newest of them.
    drop(peer);
    let (_, watch) = fake.accept().await.watch().await;
    assert_eq!(watch.start, after(12));
}
