//! Watches: whole versions, credit, resuming.

use super::fake::{Fake, Peer, at, part};
use crate::*;
use kvs_proto::{Credit, Empty, Gap, Initial, Mark, Request, WatchItem};

async fn watching(options: WatchOptions) -> (Fake, WatchStream, Peer, u64) {
    let mut fake = Fake::new();
    let (client, mut peer) = fake.connected(Options::default()).await;
    let primary = client.namespace("primary");
    let opening = tokio::spawn(async move { primary.watch(options).await });
    let (id, _) = peer.watch().await;
    peer.started(id, 10).await;
    (fake, opening.await.unwrap().unwrap(), peer, id)
}

/// The version and keys of the next event.
async fn next(stream: &mut WatchStream) -> (u64, Vec<String>, bool) {
    match stream.recv().await.unwrap() {
        Event::Changes(changes) => {
            let keys = changes
                .changes
                .iter()
                .map(|change| change.key.to_string())
                .collect();
            (changes.position.version, keys, changes.last)
        }
        other => panic!("{other:?}"),
    }
}

fn keys(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| key.to_string()).collect()
}

fn mark(version: u64) -> WatchItem {
    WatchItem::Mark(Mark {
        position: at(version),
        requested: false,
    })
}

fn after(version: u64) -> Start {
    Start::Version {
        version: version + 1,
        incarnation: Some(1),
    }
}

#[tokio::test]
async fn parts_of_a_version_are_handed_out_whole() {
    let (_fake, mut stream, mut peer, id) = watching(WatchOptions::new()).await;
    assert_eq!(stream.started(), Some(at(10)));
    peer.item(id, part(11, "a", false)).await;
    peer.item(id, part(11, "b", true)).await;
    peer.item(id, part(12, "c", true)).await;
    assert_eq!(next(&mut stream).await, (11, keys(&["a", "b"]), true));
    assert_eq!(next(&mut stream).await, (12, keys(&["c"]), true));
    assert_eq!(stream.position(), Some(at(12)));
}

#[tokio::test]
async fn a_lost_watch_goes_on_after_the_last_whole_version() {
    let (mut fake, mut stream, mut peer, id) = watching(WatchOptions::new()).await;
    peer.item(id, part(11, "a", true)).await;
    peer.item(id, part(12, "b", false)).await;
    assert_eq!(next(&mut stream).await.0, 11);
    drop(peer);
    let mut peer = fake.accept().await;
    let (id, watch) = peer.watch().await;
    assert_eq!(watch.start, after(11));
    peer.started(id, 11).await;
    peer.item(id, part(12, "b", false)).await;
    peer.item(id, part(12, "c", true)).await;
    assert_eq!(next(&mut stream).await, (12, keys(&["b", "c"]), true));
}

#[tokio::test]
async fn a_watch_from_now_that_saw_nothing_goes_on_where_it_began() {
    let (mut fake, mut stream, mut peer, id) = watching(WatchOptions::new()).await;
    drop(peer);
    peer = fake.accept().await;
    let (again, watch) = peer.watch().await;
    assert_eq!((again, watch.start), (id, after(10)));
    peer.item(id, mark(20)).await;
    peer.item(id, part(21, "a", false)).await;
    peer.item(id, part(21, "a", true)).await;
    assert_eq!(next(&mut stream).await.0, 21);
    drop(peer);
    assert_eq!(fake.accept().await.watch().await.1.start, after(21));
}

#[tokio::test]
async fn a_mark_moves_the_place_to_resume_from() {
    let (mut fake, stream, mut peer, id) = watching(WatchOptions::new()).await;
    peer.item(id, mark(20)).await;
    // Bytes that were written before the connection is closed are still read.
    drop(peer);
    assert_eq!(fake.accept().await.watch().await.1.start, after(20));
    drop(stream);
}

#[tokio::test]
async fn an_initial_state_that_was_not_complete_is_asked_for_again() {
    let (mut fake, mut stream, mut peer, id) = watching(WatchOptions::new().initial()).await;
    peer.item(id, page(10, "a", false)).await;
    drop(peer);
    let mut peer = fake.accept().await;
    assert_eq!(peer.watch().await.1.start, Start::Initial);
    peer.started(id, 10).await;
    peer.item(id, page(10, "a", false)).await;
    peer.item(id, page(10, "b", true)).await;
    let Event::Initial(initial) = stream.recv().await.unwrap() else {
        panic!()
    };
    assert_eq!(initial.entries.len(), 2);
    drop(peer);
    assert_eq!(fake.accept().await.watch().await.1.start, after(10));
}

#[tokio::test]
async fn a_version_over_the_limit_comes_in_parts_and_a_loss_among_them_is_told() {
    let options = WatchOptions {
        assemble_bytes: 0,
        ..WatchOptions::new()
    };
    let (mut fake, mut stream, mut peer, id) = watching(options).await;
    peer.item(id, part(11, "a", false)).await;
    assert_eq!(next(&mut stream).await, (11, keys(&["a"]), false));
    drop(peer);
    assert_eq!(stream.recv().await.unwrap(), Event::Restart(Some(at(10))));
    let mut peer = fake.accept().await;
    assert_eq!(peer.watch().await.1.start, after(10));
    peer.item(id, part(11, "a", false)).await;
    peer.item(id, part(11, "b", true)).await;
    assert_eq!(next(&mut stream).await, (11, keys(&["a"]), false));
    assert_eq!(next(&mut stream).await, (11, keys(&["b"]), true));
}

/// A page of the state at a version.
fn page(version: u64, key: &str, last: bool) -> WatchItem {
    let WatchItem::Changes(changes) = part(version, key, last) else {
        panic!()
    };
    WatchItem::Initial(Initial {
        position: changes.position,
        root: changes.root,
        snapshot: format!("primary@{version}:x").into(),
        time_ms: 0,
        differences: false,
        entries: changes.changes,
        last,
    })
}

fn gap(from: u64, to: u64) -> WatchItem {
    WatchItem::Gap(Gap {
        from: at(from),
        to: at(to),
        snapshot: "".into(),
    })
}

#[tokio::test]
async fn a_gap_is_told_with_its_state_and_passed() {
    let (mut fake, mut stream, mut peer, id) = watching(WatchOptions::new()).await;
    peer.item(id, gap(10, 30)).await;
    peer.item(id, page(30, "a", false)).await;
    drop(peer);
    let mut peer = fake.accept().await;
    let resumed = peer.watch().await.1;
    assert_eq!(resumed.start, after(10), "the state was not complete");
    assert_eq!(resumed.credit, WATCH_PREFETCH);
    peer.started(id, 10).await;
    peer.item(id, gap(10, 31)).await;
    peer.item(id, page(31, "a", false)).await;
    peer.item(id, page(31, "b", true)).await;
    let told = Gap {
        from: at(10),
        to: at(31),
        snapshot: "primary@31:x".into(),
    };
    assert_eq!(stream.recv().await.unwrap(), Event::Gap(told.into()));
    assert_eq!(stream.position(), Some(at(10)));
    let Event::Initial(state) = stream.recv().await.unwrap() else {
        panic!()
    };
    assert_eq!(state.entries.len(), 2);
    assert_eq!(stream.position(), Some(at(31)));
    drop(peer);
    assert_eq!(fake.accept().await.watch().await.1.start, after(31));
}

#[tokio::test]
async fn a_version_that_came_already_is_not_handed_out_again() {
    let (_fake, mut stream, mut peer, id) = watching(WatchOptions::new()).await;
    for version in [11, 11, 10, 12] {
        peer.item(id, part(version, "a", true)).await;
    }
    assert_eq!(next(&mut stream).await.0, 11);
    assert_eq!(next(&mut stream).await.0, 12);
}

/// The credit that an item costs, in bytes.
fn bytes_of(item: &WatchItem) -> u64 {
    let mut out = bytes::BytesMut::new();
    let status = kvs_proto::Status::Item;
    kvs_proto::write_answer(&mut out, kvs_proto::FRAME_BYTES, 1, status, item).unwrap();
    use tokio_util::codec::Decoder;
    let mut codec = kvs_proto::FrameCodec::default();
    codec.decode(&mut out).unwrap().unwrap().body.len() as u64
}

fn credit(add: u64, bytes: u64) -> Request {
    Request::Credit(Credit { add, bytes })
}

#[tokio::test]
async fn credit_comes_back_when_events_are_taken_and_at_once_for_parts() {
    let (mut fake, mut stream, mut peer, id) = watching(WatchOptions::new().prefetch(4)).await;
    let one = bytes_of(&part(11, "a", true));
    peer.item(id, part(11, "a", false)).await;
    assert_eq!(peer.request().await, (id, credit(1, one)));
    for version in 11..15 {
        peer.item(id, part(version, "b", true)).await;
    }
    next(&mut stream).await;
    next(&mut stream).await;
    assert_eq!(peer.request().await, (id, credit(2, 2 * one)));
    drop(peer);
    let (_, watch) = fake.accept().await.watch().await;
    assert_eq!(
        (watch.start, watch.credit, watch.credit_bytes),
        (after(14), 2, Some(WATCH_PREFETCH_BYTES - 2 * one)),
        "two of four were not taken yet"
    );
}

#[tokio::test]
async fn credit_by_bytes_comes_back_though_events_are_few() {
    let one = bytes_of(&part(11, "a", true));
    let options = WatchOptions::new().prefetch_bytes(one + 1);
    let (mut fake, mut stream, mut peer, id) = watching(options).await;
    // The second takes the credit below zero.
    peer.item(id, part(11, "a", true)).await;
    peer.item(id, part(12, "a", true)).await;
    next(&mut stream).await;
    assert_eq!(peer.request().await, (id, credit(1, one)));
    drop(peer);
    let mut peer = fake.accept().await;
    assert_eq!(peer.watch().await.1.credit_bytes, Some(1));
    next(&mut stream).await;
    assert_eq!(peer.request().await, (id, credit(1, one)));
}

#[tokio::test]
async fn a_dropped_watch_is_cancelled_and_late_items_are_ignored() {
    let mut fake = Fake::new();
    let (client, mut peer) = fake.connected(Options::default()).await;
    let primary = client.namespace("primary");
    let opening = tokio::spawn(async move { primary.watch(WatchOptions::new()).await });
    let (id, _) = peer.watch().await;
    peer.started(id, 10).await;
    drop(opening.await.unwrap().unwrap());
    assert_eq!(peer.request().await, (id, Request::Cancel(Empty {})));
    peer.item(id, part(11, "a", true)).await;
    peer.answer(id, &Empty {}).await;
    let (synced, ()) = tokio::join!(client.sync(), async {
        let (id, _) = peer.request().await;
        peer.answer(id, &Empty {}).await;
    });
    synced.unwrap();
    drop(client);
    assert!(
        peer.next().await.is_none(),
        "nobody holds the client any more"
    );
}

#[tokio::test]
async fn a_refused_watch_fails_to_open_and_a_failed_one_ends_with_its_error() {
    let mut fake = Fake::new();
    let (client, mut peer) = fake.connected(Options::default()).await;
    let primary = client.namespace("primary");
    let opening = tokio::spawn(async move { primary.watch(WatchOptions::new()).await });
    let (id, _) = peer.watch().await;
    peer.error(id, ErrorCode::NoNamespace).await;
    assert_eq!(
        opening.await.unwrap().unwrap_err().code,
        ErrorCode::NoNamespace
    );

    let (_fake, mut stream, mut peer, id) = watching(WatchOptions::new()).await;
    peer.error(id, ErrorCode::Permission).await;
    assert_eq!(stream.recv().await.unwrap_err().code, ErrorCode::Permission);
    assert_eq!(stream.recv().await.unwrap_err().code, ErrorCode::NoData);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_no_watch_and_no_wait() {
    let (mut fake, mut stream, mut peer, id) = watching(WatchOptions::new()).await;
    let (client, mut other) = fake.connected(Options::default()).await;
    let primary = client.namespace("primary");
    let waiting = tokio::spawn(async move { primary.wait(12, None).await });
    let (wait, _) = other.request().await;
    peer.item(id, part(11, "a", true)).await;
    peer.error(id, ErrorCode::Unavailable).await;
    drop(peer);
    let mut peer = fake.accept().await;
    assert_eq!(peer.watch().await, (id, peer_watch(after(11))));
    peer.item(id, part(12, "b", true)).await;
    assert_eq!(next(&mut stream).await.0, 11);
    assert_eq!(next(&mut stream).await.0, 12);
    // This daemon never closes the connection; the client leaves it by itself.
    other.error(wait, ErrorCode::Unavailable).await;
    let mut other = fake.accept().await;
    let (again, _) = other.request().await;
    assert_eq!(again, wait);
    other
        .answer(wait, &kvs_proto::WaitAnswer { position: at(12) })
        .await;
    assert_eq!(waiting.await.unwrap().unwrap(), at(12));
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_takes_no_watches_is_given_up_in_time() {
    let (mut fake, mut stream, mut peer, id) = watching(WatchOptions::new()).await;
    let mut connections = 0;
    let error = loop {
        peer.error(id, ErrorCode::Unavailable).await;
        drop(peer);
        tokio::select! {
            next = fake.accept() => peer = next,
            ended = stream.recv() => break ended.unwrap_err(),
        }
        peer.watch().await;
        connections += 1;
    };
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(
        (15..100).contains(&connections),
        "{connections} connections"
    );
}

#[tokio::test(start_paused = true)]
async fn each_of_many_shutdowns_has_the_whole_time_to_reconnect() {
    let (mut fake, mut stream, mut peer, id) = watching(WatchOptions::new()).await;
    for version in 11..15 {
        peer.item(id, part(version, "a", true)).await;
        assert_eq!(next(&mut stream).await.0, version);
        tokio::time::advance(RECONNECT_TIME).await;
        peer.error(id, ErrorCode::Unavailable).await;
        drop(peer);
        peer = fake.accept().await;
        assert_eq!(peer.watch().await.1.start, after(version));
    }
}

fn peer_watch(start: Start) -> kvs_proto::Watch {
    let taken = bytes_of(&part(11, "a", true));
    kvs_proto::Watch {
        start,
        credit: WATCH_PREFETCH - 1,
        credit_bytes: Some(WATCH_PREFETCH_BYTES - taken),
        ..kvs_proto::Watch::new("primary")
    }
}
