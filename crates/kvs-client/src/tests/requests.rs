//! Requests: order, pipelining, lost answers, reconnecting.

use super::fake::{self, Fake, Peer, at};
use crate::*;
use bytes::BytesMut;
use kvs_proto::{Empty, FoundAt, LookupAnswer, Op, ReadAnswer, Request, write_error};
use smol_str::SmolStr;
use std::time::Duration;
use tokio::time::Instant;

fn put(key: &str) -> Transaction {
    Transaction::new().put(key.to_owned(), "v")
}

async fn pair() -> (Fake, Namespace, Peer) {
    let mut fake = Fake::new();
    let (client, peer) = fake.connected(Options::default()).await;
    (fake, client.namespace("primary"), peer)
}

#[tokio::test]
async fn a_failed_first_connect_says_where_why_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kvs.sock");
    let error = Client::connect(&Address::Unix(path.clone()))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Disconnected);
    let expected = format!(
        "cannot connect to unix:{}: No such file or directory",
        path.display()
    );
    assert_eq!(error.message, expected);
}

#[tokio::test]
async fn a_unix_socket_carries_the_same_frames() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kvs.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let daemon = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut fake = Fake::new();
        let mut door = fake.door.connect().await.unwrap();
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut socket, &mut door).await });
        fake.accept().await
    };
    let address = Address::Unix(path.clone());
    let (client, mut peer) = tokio::join!(Client::connect(&address), daemon);
    let client = client.unwrap();
    let (synced, ()) = tokio::join!(client.sync(), async {
        let (id, _) = peer.request().await;
        peer.answer(id, &Empty {}).await;
    });
    synced.unwrap();
}

#[tokio::test]
async fn commits_are_sent_in_order_and_acknowledge_what_was_answered() {
    let (_fake, primary, mut peer) = pair().await;
    let first = primary.submit(put("a")).await.unwrap();
    let second = primary.submit(put("b")).await.unwrap();
    let (id1, one) = peer.commit().await;
    let (id2, two) = peer.commit().await;
    assert_eq!((one.number, one.acknowledged, one.repeat), (1, 1, None));
    assert_eq!((two.number, two.acknowledged), (2, 1));
    peer.committed(id2, 12).await;
    peer.committed(id1, 11).await;
    assert_eq!(second.await.unwrap().position, at(12));
    assert_eq!(first.await.unwrap().position, at(11));
    assert_eq!(primary.known(), Some(at(12)));
    let _third = primary.submit(put("c")).await.unwrap();
    assert_eq!(peer.commit().await.1.acknowledged, 3);
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_repeated_under_its_number() {
    let (mut fake, primary, mut peer) = pair().await;
    let client_id = peer.hello.as_ref().unwrap().client;
    let first = primary.submit(put("a")).await.unwrap();
    let second = primary.submit(put("b")).await.unwrap();
    let third = primary.submit(put("c")).await.unwrap();
    let (id, _) = peer.commit().await;
    let (_, sent) = peer.commit().await;
    peer.commit().await;
    peer.committed(id, 11).await;
    assert!(first.await.is_ok());
    drop(peer);
    let mut peer = fake.accept().await;
    assert_eq!(peer.hello.as_ref().unwrap().client, client_id);
    let (id2, again) = peer.commit().await;
    assert_eq!(
        (again.number, again.acknowledged, again.repeat),
        (2, 2, Some(at(10)))
    );
    assert_eq!(again.operations, sent.operations);
    let (id3, again) = peer.commit().await;
    assert_eq!(again.number, 3);
    peer.committed(id2, 12).await;
    peer.error(id3, ErrorCode::OutcomeUnknown).await;
    assert_eq!(second.await.unwrap().position, at(12));
    assert_eq!(third.await.unwrap_err().code, ErrorCode::OutcomeUnknown);
}

#[tokio::test(start_paused = true)]
async fn what_was_queued_while_disconnected_is_no_repetition() {
    let (mut fake, primary, peer) = pair().await;
    fake.refuse(3);
    drop(peer);
    while fake.refusals_left() > 0 {
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    let pending = primary.submit(put("a")).await.unwrap();
    let mut peer = fake.accept().await;
    let (id, commit) = peer.commit().await;
    assert_eq!(commit.repeat, None);
    peer.committed(id, 11).await;
    assert!(pending.await.is_ok());
}

#[tokio::test]
async fn reads_are_repeated_and_what_must_not_happen_twice_is_not() {
    let (mut fake, primary, mut peer) = pair().await;
    let client = primary.client().clone();
    let read = tokio::spawn({
        let primary = primary.clone();
        async move { primary.info(At::Current).await }
    });
    assert_eq!(peer.request().await.1.op(), Op::Info);
    let pin = tokio::spawn(async move { client.pin("primary@1:x", None).await });
    assert_eq!(peer.request().await.1.op(), Op::Pin);
    drop(peer);
    let mut peer = fake.accept().await;
    let (id, again) = peer.request().await;
    assert_eq!(again.op(), Op::Info);
    assert_eq!(
        pin.await.unwrap().unwrap_err().code,
        ErrorCode::OutcomeUnknown
    );
    peer.error(id, ErrorCode::NoNamespace).await;
    let error = read.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "Operation not supported: because");
}

#[tokio::test(start_paused = true)]
async fn reconnecting_backs_off_and_gives_up_in_time() {
    let mut fake = Fake::new();
    let time = Duration::from_secs(30);
    let options = Options {
        reconnect_time: Some(time),
        ..Options::default()
    };
    let (client, mut peer) = fake.connected(options).await;
    let primary = client.namespace("primary");
    let sent = primary.submit(put("a")).await.unwrap();
    peer.commit().await;
    let watching = tokio::spawn({
        let primary = primary.clone();
        async move { primary.watch(WatchOptions::new()).await }
    });
    peer.watch().await;
    fake.refuse(1_000);
    let begun = Instant::now();
    drop(peer);
    assert_eq!(sent.await.unwrap_err().code, ErrorCode::OutcomeUnknown);
    assert!(begun.elapsed() >= time && begun.elapsed() < time + BACKOFF_MAX * 2);
    let attempts = 1_000 - fake.refusals_left();
    assert!((15..60).contains(&attempts), "{attempts} attempts");
    assert_eq!(
        watching.await.unwrap().unwrap_err().code,
        ErrorCode::Disconnected
    );
    assert_eq!(
        primary.put("b", "v").await.unwrap_err().code,
        ErrorCode::Disconnected
    );
}

#[tokio::test(start_paused = true)]
async fn a_temporary_daemon_that_is_gone_is_not_waited_for() {
    let mut fake = Fake::new();
    fake.temporary = true;
    let (client, mut peer) = fake.connected(Options::default()).await;
    let primary = client.namespace("primary");
    let first = primary.submit(put("a")).await.unwrap();
    peer.commit().await;
    // What is lost while it is there is taken up as ever.
    drop(peer);
    let mut peer = fake.accept().await;
    peer.commit().await;
    fake.refuse(1_000);
    drop(peer);
    assert_eq!(first.await.unwrap_err().code, ErrorCode::OutcomeUnknown);
    assert_eq!(fake.refusals_left(), 999);
}

#[tokio::test(start_paused = true)]
async fn the_first_connect_can_wait_for_the_daemon() {
    let mut fake = Fake::new();
    fake.refuse(5);
    assert_eq!(
        fake.fails_to_connect(Options::default()).await.code,
        ErrorCode::Disconnected
    );
    fake.connected(Options {
        fail_fast: false,
        ..Options::default()
    })
    .await;
    assert_eq!(fake.refusals_left(), 0);
}

#[tokio::test(start_paused = true)]
async fn another_program_is_told_apart_whatever_it_sends() {
    let mut fake = Fake::new();
    for sent in [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail ESMTP\r\n",
        &[0; 64],
        &[0xff; 64],
        b"\0\0\0\x05\xc1\xc1\xc1\xc1\xc1",
        // Statuses that there are none of, of a stream, and of another request.
        b"\0\0\0\x04\x93\0\x63\x80",
        b"\0\0\0\x04\x93\0\x02\x80",
        b"\0\0\0\x04\x93\x07\0\x80",
        // A refusal without a reason.
        b"\0\0\0\x04\x93\0\x01\x80",
    ] {
        let error = fake.fails_to_connect_to(sent).await;
        assert_eq!(error.code, ErrorCode::Disconnected, "{sent:?}");
        assert_eq!(
            error.message, "cannot connect to fake: what listens there is not a kvs daemon",
            "{sent:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_daemon_of_another_version_of_the_protocol_is_told_apart() {
    let mut fake = Fake::new();
    let mut refusal = BytesMut::new();
    let first = "this daemon speaks protocol version 1 only";
    write_error(&mut refusal, 0, ErrorCode::ProtocolVersion, first);
    for (sent, told) in [
        // An answer to hello without anything that this version has.
        (
            b"\0\0\0\x04\x93\0\0\x80".as_slice(),
            "the daemon does not tell its version of the protocol, this client speaks version 2",
        ),
        (
            b"\0\0\0\x0d\x93\0\0\x81\xa7version\x07",
            "the daemon answers in version 7 of the protocol, this client speaks version 2",
        ),
        // The answer that a daemon of version 1 gives to this hello.
        (
            &refusal,
            "this daemon speaks protocol version 1 only (this client: version 2)",
        ),
    ] {
        let error = fake.fails_to_connect_to(sent).await;
        assert_eq!(error.code, ErrorCode::ProtocolVersion);
        assert_eq!(error.message, told);
    }
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_says_nothing_is_told_apart() {
    let fake = Fake::new();
    let error = fake.fails_to_connect(Options::default()).await;
    assert!(
        error
            .message
            .ends_with("no answer in 10 s; is it a kvs daemon?"),
        "{error}"
    );
}

#[tokio::test]
async fn a_frame_that_is_no_answer_ends_the_connection_not_the_client() {
    let (mut fake, primary, mut peer) = pair().await;
    let pending = primary.submit(put("a")).await.unwrap();
    peer.commit().await;
    peer.garbage().await;
    let mut peer = fake.accept().await;
    let (id, _) = peer.commit().await;
    peer.committed(id, 11).await;
    assert!(pending.await.is_ok());
}

#[tokio::test]
async fn a_call_waits_while_too_many_requests_are_unanswered() {
    let mut fake = Fake::new();
    let options = Options {
        requests_in_flight: 2,
        ..Options::default()
    };
    let (client, mut peer) = fake.connected(options).await;
    let primary = client.namespace("primary");
    let _first = primary.submit(put("a")).await.unwrap();
    let _second = primary.submit(put("b")).await.unwrap();
    let third = primary.submit(put("c"));
    tokio::pin!(third);
    let (id, _) = peer.commit().await;
    peer.commit().await;
    let early = tokio::select! {
        biased;
        _ = &mut third => true,
        () = tokio::task::yield_now() => false,
    };
    assert!(!early);
    peer.committed(id, 11).await;
    let _third = third.await.unwrap();
    assert_eq!(peer.commit().await.1.number, 3);
}

#[tokio::test]
async fn a_commit_is_finished_though_the_client_is_gone() {
    let (_fake, primary, mut peer) = pair().await;
    let pending = primary.submit(put("a")).await.unwrap();
    drop(primary);
    let (id, _) = peer.commit().await;
    peer.committed(id, 11).await;
    assert!(pending.await.is_ok());
    assert!(peer.next().await.is_none(), "the connection is closed");
}

#[tokio::test]
async fn a_dropped_wait_is_cancelled() {
    let (_fake, primary, mut peer) = pair().await;
    let waiting = tokio::spawn({
        let primary = primary.clone();
        async move { primary.wait(99, None).await }
    });
    let (id, request) = peer.request().await;
    assert_eq!(request.op(), Op::Wait);
    waiting.abort();
    assert_eq!(peer.request().await, (id, Request::Cancel(Empty {})));
    peer.error(id, ErrorCode::Cancelled).await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_dropped_without_a_connection_is_not_sent_again() {
    let (mut fake, primary, mut peer) = pair().await;
    let waiting = tokio::spawn({
        let primary = primary.clone();
        async move { primary.wait(99, None).await }
    });
    peer.request().await;
    fake.refuse(1);
    drop(peer);
    while fake.refusals_left() > 0 {
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    let _next = primary.submit(put("a")).await.unwrap();
    assert_eq!(fake.accept().await.request().await.1.op(), Op::Commit);
}

#[tokio::test]
async fn a_client_of_a_runtime_that_has_ended_answers_with_an_error() {
    let mut fake = Fake::new();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let client = Client::connect_with(fake.door.clone(), Options::default());
    let (client, mut peer) = tokio::join!(runtime.spawn(client), fake.accept());
    let primary = client.unwrap().unwrap().namespace("primary");
    let read = primary.submit_lookup("a", LookupOptions::default());
    let read = read.await.unwrap();
    assert_eq!(peer.request().await.1.op(), Op::Lookup);
    runtime.shutdown_background();
    assert_eq!(read.await.unwrap_err().code, ErrorCode::Disconnected);
    let late = primary.put("b", "v").await;
    assert_eq!(late.unwrap_err().code, ErrorCode::Disconnected);
}

#[tokio::test]
async fn a_transaction_too_long_for_a_frame_is_refused_here_and_its_number_answered() {
    let (_fake, primary, mut peer) = pair().await;
    let value = vec![0; kvs_proto::FRAME_BYTES + 1];
    let error = primary.put("a", value).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::TooBig);
    let many = (0..800_000).fold(Transaction::new(), |all, _| all.unlink("a"));
    let error = primary.commit(many).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Limit);
    assert_eq!(
        error.message,
        "operations of commit: 800000 elements, at most 10000"
    );
    let _next = primary.submit(put("b")).await.unwrap();
    let (_, commit) = peer.commit().await;
    assert_eq!((commit.number, commit.acknowledged), (3, 3));
}

#[tokio::test]
async fn a_commit_tells_the_snapshot_that_it_made() {
    let (_fake, primary, mut peer) = pair().await;
    let putting = tokio::spawn(async move { primary.put("a", "1").await });
    let (id, _) = peer.commit().await;
    peer.committed(id, 11).await;
    let committed = putting.await.unwrap().unwrap();
    assert_eq!(committed.namespace, "primary");
    let root = fake::root();
    assert_eq!(committed.snapshot(), format!("primary@11:{root}"));
    assert_eq!(committed.root(), root.to_string());
}

#[tokio::test]
async fn leases_are_rounded_up_to_milliseconds_and_none_is_of_no_time() {
    let (_fake, primary, mut peer) = pair().await;
    let client = primary.client().clone();
    let refused = client.pin("primary@1:x", Some(Duration::ZERO)).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::Invalid);
    for (lease, expected) in [
        (Duration::from_nanos(1), 1),
        (Duration::from_millis(1500), 1500),
        (Duration::MAX, u64::MAX),
    ] {
        let client = client.clone();
        let pinning = tokio::spawn(async move { client.pin("primary@1:x", Some(lease)).await });
        let (id, request) = peer.request().await;
        let Request::Pin(pin) = request else { panic!() };
        assert_eq!(pin.lease_ms, Some(expected));
        let pin = kvs_proto::PinInfo {
            id: 1,
            snapshot: pin.snapshot,
            uid: 0,
            lease_ms: pin.lease_ms,
            left_ms: pin.lease_ms,
        };
        peer.answer(id, &kvs_proto::PinAnswer { pin }).await;
        let pin = pinning.await.unwrap().unwrap();
        let expected = Some(Duration::from_millis(expected));
        assert_eq!((pin.lease, pin.left), (expected, expected));
    }
}

#[tokio::test]
async fn a_long_value_is_fetched_in_ranges_of_one_snapshot() {
    let (_fake, primary, mut peer) = pair().await;
    let getting = tokio::spawn(async move { primary.get("a").await });
    let (id, _) = peer.request().await;
    let snapshot = SmolStr::from(format!("other@11:{}", fake::root()));
    let value = ValueInfo::of_size(5, Some(fake::root().to_string().into()));
    let found = LookupAnswer {
        position: at(11),
        entry: Some(Entry::Value(value)),
        root: Some(fake::root()),
        place: Some(FoundAt {
            namespace: "other".into(),
            key: "b".into(),
        }),
        treeobj: None,
    };
    peer.answer(id, &found).await;
    for (offset, bytes) in [(0, "abc"), (3, "de")] {
        let (id, Request::Read(read)) = peer.request().await else {
            panic!()
        };
        assert_eq!((read.namespace.as_str(), read.key.as_str()), ("other", "b"));
        assert_eq!(
            (read.at, read.offset),
            (At::Snapshot(snapshot.clone()), offset)
        );
        let bytes = bytes.into();
        let part = ReadAnswer {
            bytes,
            size: 5,
            position: at(11),
            snapshot: "".into(),
        };
        peer.answer(id, &part).await;
    }
    assert_eq!(getting.await.unwrap().unwrap().unwrap(), "abcde");
}

#[tokio::test]
async fn what_is_queued_together_is_written_together() {
    let (fake, primary, mut peer) = pair().await;
    let writes = || fake.door.writes.load(std::sync::atomic::Ordering::SeqCst);
    let before = writes();
    let mut pending = Vec::new();
    for _ in 0..100 {
        pending.push(primary.submit(put("a")).await.unwrap());
    }
    for number in 1..=100 {
        let (id, commit) = peer.commit().await;
        assert_eq!(commit.number, number);
        peer.committed(id, 10 + number).await;
    }
    for answer in pending {
        answer.await.unwrap();
    }
    assert_eq!(writes() - before, 1);
}

#[tokio::test]
async fn what_has_no_room_in_the_buffer_follows_in_order() {
    let (mut fake, primary, mut peer) = pair().await;
    let large = vec![b'x'; WRITE_BUFFER_BYTES / 3];
    let mut pending = Vec::new();
    for number in 0..20 {
        let put = Transaction::new().put(format!("k{number}"), large.clone());
        pending.push(primary.submit(put).await.unwrap());
    }
    for number in 1..=5 {
        assert_eq!(peer.commit().await.1.number, number);
    }
    drop(peer);
    let mut peer = fake.accept().await;
    for number in 1..=20 {
        let (id, commit) = peer.commit().await;
        assert_eq!(commit.number, number);
        peer.committed(id, 10 + number).await;
    }
    for answer in pending {
        answer.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_the_daemon_dies_of_is_repeated_over_two_deaths_only() {
    let (mut fake, primary, mut peer) = pair().await;
    let pending = primary.submit(put("poison")).await.unwrap();
    let read = primary.clone();
    let read = tokio::spawn(async move { read.get("a").await });
    for death in 0..3 {
        let (_, commit) = peer.commit().await;
        assert_eq!((commit.number, commit.repeat.is_some()), (1, death > 0));
        assert!(matches!(peer.request().await.1, Request::Lookup(_)));
        drop(peer);
        peer = fake.accept().await;
    }
    let error = pending.await.unwrap_err();
    assert_eq!(error.code, ErrorCode::OutcomeUnknown);
    assert!(error.message.contains("lost 3 times"), "{error}");
    let error = read.await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::Disconnected);
    // What comes later goes on.
    let pending = primary.submit(put("a")).await.unwrap();
    let (id, commit) = peer.commit().await;
    assert_eq!((commit.number, commit.repeat), (2, None));
    peer.committed(id, 11).await;
    assert!(pending.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_shuts_down_is_no_death_and_a_wait_outlives_any_number() {
    let (mut fake, primary, mut peer) = pair().await;
    let waiting = primary.clone();
    let waiting = tokio::spawn(async move { waiting.wait(99, None).await });
    let (mut wait, _) = peer.request().await;
    let pending = primary.submit(put("a")).await.unwrap();
    for _ in 0..5 {
        peer.commit().await;
        peer.error(wait, ErrorCode::Unavailable).await;
        while peer.next().await.is_some() {}
        drop(peer);
        peer = fake.accept().await;
        (wait, _) = peer.request().await;
    }
    let (id, _) = peer.commit().await;
    peer.committed(id, 11).await;
    assert!(pending.await.is_ok());
    waiting.abort();
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_is_lost_with_its_connection_is_unavailable_and_can_be_made_again() {
    let mut fake = Fake::new();
    let (client, mut peer) = fake.connected(Options::default()).await;
    let primary = client.namespace("primary");
    let mut upload = primary.upload().await.unwrap();
    upload.write("first").await.unwrap();
    peer.request().await;
    peer.request().await;
    drop(peer);
    let mut peer = fake.accept().await;
    let error = upload.finish().await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable);
    let upload = primary.upload().await.unwrap();
    let (id, request) = peer.request().await;
    assert!(matches!(request, Request::Upload(_)), "{request:?}");
    peer.answer(id, &Empty {}).await;
    assert_eq!(upload.finish().await.unwrap().size, 0);
}

#[tokio::test(start_paused = true)]
async fn each_outage_is_told_once_and_so_is_its_end() {
    let mut fake = Fake::new();
    let (client, mut peer) = fake.connected(Options::default()).await;
    let mut events = client.connection_events();
    for _ in 0..2 {
        fake.refuse(5);
        drop(peer);
        assert_eq!(events.recv().await, Some(ConnectionEvent::Lost));
        peer = fake.accept().await;
        assert_eq!(events.recv().await, Some(ConnectionEvent::Restored));
    }
    drop(client);
    assert_eq!(events.recv().await, None);
}

#[tokio::test]
async fn a_commit_whose_upload_is_lost_says_that_the_value_is_to_be_sent_again() {
    let (mut fake, primary, mut peer) = pair().await;
    let upload = primary.upload().await.unwrap();
    let (id, _) = peer.request().await;
    peer.answer(id, &Empty {}).await;
    let first = upload.finish().await.unwrap();
    let commit = Transaction::new().put_upload("a", first);
    let pending = primary.submit(commit).await.unwrap();
    peer.commit().await;
    drop(peer);
    let mut peer = fake.accept().await;
    let (id, _) = peer.commit().await;
    peer.error(id, ErrorCode::Invalid).await;
    let error = pending.await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(error.message.ends_with("send the value again"), "{error}");
    // One that the daemon has is refused for its own sake.
    let upload = primary.upload().await.unwrap();
    let (id, _) = peer.request().await;
    peer.answer(id, &Empty {}).await;
    let commit = Transaction::new().put_upload("a..", upload.finish().await.unwrap());
    let pending = primary.submit(commit).await.unwrap();
    let (id, _) = peer.commit().await;
    peer.error(id, ErrorCode::Invalid).await;
    assert_eq!(pending.await.unwrap_err().code, ErrorCode::Invalid);
}

#[tokio::test]
async fn a_list_that_a_daemon_ends_as_it_shuts_down_goes_on_with_the_next() {
    let (mut fake, primary, mut peer) = pair().await;
    let listing = primary.clone();
    let listing = tokio::spawn(async move { listing.list(".", ListOptions::new()).await });
    let (id, _) = peer.request().await;
    peer.error_that(id, ErrorCode::Unavailable, kvs_proto::SHUTTING_DOWN)
        .await;
    drop(peer);
    let mut peer = fake.accept().await;
    let (id, request) = peer.request().await;
    assert!(matches!(request, Request::List(_)), "{request:?}");
    peer.error(id, ErrorCode::Unavailable).await;
    let error = listing.await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable, "of its own");
}
