//! Sessions over in-memory streams, on an engine with a simulated disk.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use bytes::Bytes;
use kvs_client::{At, Client, ConnectFuture, Connector, Event, ListOptions, LogOptions};
use kvs_client::{LookupOptions, Transaction, Transport, WatchOptions};
use kvs_engine::{Engine, EngineConfig, Environment, Principal, SimDisk};
use kvs_proto as wire;
use kvs_proto::{
    Commit, CommitAnswer, Empty, ErrorBody, ErrorCode, FRAME_BYTES, Frame, Hello, HelloAnswer,
    Operation, PROTOCOL_VERSION, Request, Start, Status, UPLOAD_CHUNK_BYTES, Upload, UploadData,
    Wait, Watch, WatchItem, decode_body, write_request,
};
use tokio::io::DuplexStream;

use super::connection::Connection;
use super::session::serve;
use super::shared::{Admission, Shared};
use crate::limits::{HELLO_TIMEOUT, UPLOAD_TIMEOUT};

mod gate;

mod cached;
mod dying;
mod follows;
mod gets;
mod guests;
mod peers;
mod stopping;
mod streams;
mod versions;

const OWNER: u32 = 1000;
const CALLER: Principal = Principal::Uid(OWNER);

async fn daemon() -> Arc<Shared> {
    daemon_in(Environment::simulated(SimDisk::unrecorded(), 1)).await
}

async fn daemon_in(environment: Environment) -> Arc<Shared> {
    let config = EngineConfig::new("/store", OWNER);
    let engine = Engine::open(config, environment).await.unwrap();
    Arc::new(Shared::new(engine, OWNER))
}

/// The client's side of a connection, frame by frame.
struct Raw(Connection<DuplexStream>);

impl Raw {
    /// Connects as a user, without a hello.
    fn connect(shared: &Arc<Shared>, uid: u32, admission: Admission) -> Raw {
        let (near, far) = tokio::io::duplex(4096);
        tokio::spawn(serve(
            Arc::clone(shared),
            (far, |_| false),
            Principal::Uid(uid),
            admission,
        ));
        Raw(Connection::new(near))
    }

    /// Connects and says hello.
    async fn open(shared: &Arc<Shared>) -> Raw {
        let mut raw = Raw::connect(shared, OWNER, Admission::Served);
        raw.send(0, hello(PROTOCOL_VERSION)).await;
        let answer: HelloAnswer = body(&raw.receive().await);
        assert_eq!((answer.version, answer.uid), (PROTOCOL_VERSION, OWNER));
        raw
    }

    fn queue(&mut self, id: u64, request: impl Into<Request>) {
        write_request(self.0.out.frames(), FRAME_BYTES, id, &request.into()).unwrap();
    }

    async fn send(&mut self, id: u64, request: impl Into<Request>) {
        self.queue(id, request);
        self.0.flush().await.unwrap();
    }

    async fn receive(&mut self) -> Frame {
        self.0.read_frame().await.unwrap().unwrap()
    }

    async fn ended(&mut self) -> bool {
        matches!(self.0.read_frame().await, Ok(None))
    }

    /// Receives an error answer; returns its id and code.
    async fn refused(&mut self) -> (u64, ErrorCode) {
        let frame = self.receive().await;
        assert_eq!(frame.tag, Status::Error.code());
        (frame.id, body::<ErrorBody>(&frame).kind())
    }
}

fn body<T: serde::de::DeserializeOwned>(frame: &Frame) -> T {
    decode_body(&frame.body).unwrap()
}

fn hello(version: u32) -> Hello {
    let namespaces = vec!["primary".into(), "unknown".into()];
    Hello {
        versions: vec![version],
        client: [7; 16],
        namespaces,
        software: "test".into(),
    }
}

fn put(number: u64, key: &str, value: impl Into<Bytes>) -> Commit {
    let operation = Operation::Put {
        key: key.into(),
        value: value.into(),
    };
    Commit {
        no_merge: true,
        ..Commit::new("primary", number, vec![operation])
    }
}

fn watch(credit: u64) -> Watch {
    let start = Start::Version {
        version: 1,
        incarnation: None,
    };
    Watch {
        start,
        credit,
        ..Watch::new("primary")
    }
}

fn upload() -> Upload {
    Upload {
        namespace: "primary".into(),
    }
}

fn wait(version: u64) -> Wait {
    Wait {
        namespace: "primary".into(),
        version,
        incarnation: None,
    }
}

/// Commits through the engine, without a connection.
async fn commit(shared: &Shared, number: u64, value: impl Into<Bytes>) {
    let request = super::incoming::commit(CALLER, [9; 16], put(number, "k", value)).unwrap();
    shared.engine.commit(request).await.unwrap();
}

#[tokio::test]
async fn who_may_not_connect_is_told_and_let_go() {
    let shared = daemon().await;
    for (uid, admission, first, code) in [
        (
            OWNER,
            Admission::Served,
            Request::from(wait(1)),
            ErrorCode::ProtocolVersion,
        ),
        (
            OWNER,
            Admission::Served,
            Request::from(hello(99)),
            ErrorCode::ProtocolVersion,
        ),
        (
            4711,
            Admission::Served,
            Request::from(hello(PROTOCOL_VERSION)),
            ErrorCode::Permission,
        ),
        (
            OWNER,
            Admission::Refused,
            Request::from(hello(PROTOCOL_VERSION)),
            ErrorCode::Limit,
        ),
    ] {
        let mut raw = Raw::connect(&shared, uid, admission);
        raw.send(5, first).await;
        assert_eq!(raw.refused().await, (5, code));
        assert!(raw.ended().await);
    }
    let mut root = Raw::connect(&shared, 0, Admission::Served);
    root.send(5, hello(PROTOCOL_VERSION)).await;
    assert_eq!(root.receive().await.tag, Status::Final.code());
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_hello_is_closed() {
    let shared = daemon().await;
    let mut raw = Raw::connect(&shared, OWNER, Admission::Served);
    let before = tokio::time::Instant::now();
    assert!(raw.ended().await);
    assert_eq!(before.elapsed(), HELLO_TIMEOUT);
}

#[tokio::test]
async fn the_hello_tells_the_positions_of_known_namespaces() {
    let shared = daemon().await;
    commit(&shared, 1, "x").await;
    let mut raw = Raw::connect(&shared, OWNER, Admission::Served);
    raw.send(0, hello(PROTOCOL_VERSION)).await;
    let answer: HelloAnswer = body(&raw.receive().await);
    let positions: Vec<_> = answer
        .positions
        .iter()
        .map(|p| (p.namespace.as_str(), p.position.version))
        .collect();
    assert_eq!(positions, [("primary", 1)]);
    assert_eq!(answer.algorithm, "blake3");
}

#[tokio::test]
async fn what_is_malformed_is_answered_and_the_connection_goes_on() {
    let shared = daemon().await;
    let mut raw = Raw::open(&shared).await;
    // [1, 99, {}], and [2, commit, {}]
    let out = raw.0.out.frames();
    out.extend_from_slice(&[0, 0, 0, 4, 0x93, 1, 99, 0x80]);
    out.extend_from_slice(&[0, 0, 0, 4, 0x93, 2, 2, 0x80]);
    raw.send(3, put(1, "", "x")).await;
    raw.send(4, put(2, "k", "x")).await;
    assert_eq!(raw.refused().await, (1, ErrorCode::UnknownOperation));
    assert_eq!(raw.refused().await, (2, ErrorCode::BadRequest));
    assert_eq!(raw.refused().await, (3, ErrorCode::Invalid));
    let answer: CommitAnswer = body(&raw.receive().await);
    assert_eq!(answer.position.version, 1);
}

#[tokio::test]
async fn a_frame_that_cannot_be_read_ends_the_connection() {
    let shared = daemon().await;
    for bytes in [&[0xff, 0xff, 0xff, 0xff][..], &[0, 0, 0, 1, 0x80][..]] {
        let mut raw = Raw::open(&shared).await;
        raw.0.out.frames().extend_from_slice(bytes);
        raw.0.flush().await.unwrap();
        assert!(raw.ended().await);
    }
}

#[tokio::test]
async fn commits_take_effect_in_the_order_of_arrival_even_behind_large_values() {
    let simulated = Environment::simulated(SimDisk::unrecorded(), 1);
    // With disk threads, as in a real daemon, staging takes some time.
    let shared = daemon_in(Environment {
        inline: false,
        ..simulated
    })
    .await;
    let mut raw = Raw::open(&shared).await;
    for number in 1..=30 {
        let length = if number % 10 == 1 { 300_000 } else { 10 };
        raw.queue(number, put(number, "k", vec![b'x'; length]));
    }
    let (mut reader, mut versions) = (raw, Vec::new());
    // Sends and receives concurrently: together they exceed the stream's buffer.
    while versions.len() < 30 {
        let mut cx = TaskContext::from_waker(Waker::noop());
        let _ = reader.0.poll_drain(&mut cx).map(Result::unwrap);
        tokio::task::yield_now().await;
        let _ = reader.0.poll_fill(&mut cx).map(Result::unwrap);
        while let Some(frame) = reader.0.next_frame().unwrap() {
            let answer: CommitAnswer = body(&frame);
            versions.push((frame.id, answer.position.version));
        }
    }
    assert_eq!(
        versions,
        (1..=30).map(|number| (number, number)).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_client_that_sends_without_reading_is_held_back_and_loses_nothing() {
    const COUNT: u64 = 2000;
    let shared = daemon().await;
    commit(&shared, 1, vec![b'x'; 20_000]).await;
    let mut raw = Raw::open(&shared).await;
    for id in 1..=COUNT {
        let lookup = wire::Lookup {
            namespace: "primary".into(),
            key: "k".into(),
            at: wire::At::Current,
            follow: true,
            treeobj: false,
            root: false,
            inline_max: None,
        };
        raw.queue(id, lookup);
    }
    let mut cx = TaskContext::from_waker(Waker::noop());
    // The client only sends, until nothing moves anymore.
    let mut unmoved = 0;
    while unmoved < 50 {
        let sent = matches!(raw.0.poll_drain(&mut cx), Poll::Ready(Ok(1..)));
        unmoved = if sent { 0 } else { unmoved + 1 };
        tokio::task::yield_now().await;
    }
    assert!(!raw.0.out.is_empty());
    let mut next = 1;
    while next <= COUNT {
        let _ = raw.0.poll_drain(&mut cx).map(Result::unwrap);
        let _ = raw.0.poll_fill(&mut cx).map(Result::unwrap);
        while let Some(frame) = raw.0.next_frame().unwrap() {
            assert_eq!((frame.id, frame.tag), (next, Status::Final.code()));
            next += 1;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn waits_end_by_cancel_and_their_id_is_free_again() {
    let shared = daemon().await;
    let mut raw = Raw::open(&shared).await;
    raw.send(1, wait(1)).await;
    raw.send(1, wait(2)).await;
    assert_eq!(raw.refused().await, (1, ErrorCode::BadRequest));
    raw.send(1, Request::Cancel(Empty {})).await;
    assert_eq!(raw.refused().await, (1, ErrorCode::Cancelled));
    raw.send(1, wait(1)).await;
    commit(&shared, 1, "x").await;
    let answer: wire::WaitAnswer = body(&raw.receive().await);
    assert_eq!(answer.position.version, 1);
}

#[tokio::test]
async fn a_shutdown_answers_what_was_accepted_and_ends_the_rest() {
    let shared = daemon().await;
    let mut raw = Raw::open(&shared).await;
    raw.send(1, wait(1_000)).await;
    raw.send(2, watch(10)).await;
    assert!(matches!(body(&raw.receive().await), WatchItem::Started(_)));
    for number in 3..=12 {
        raw.queue(number, put(number, &format!("k.{number}"), "x"));
    }
    raw.0.flush().await.unwrap();
    tokio::task::yield_now().await;
    shared.stop.cancel();
    let mut answered = HashMap::new();
    while let Some(frame) = raw.0.read_frame().await.unwrap() {
        if frame.id > 2 {
            answered.insert(frame.id, frame.tag);
        }
    }
    assert_eq!(answered.len(), 10);
    assert!(answered.values().all(|tag| *tag == Status::Final.code()));
}

/// Connects the client library over an in-memory stream.
struct InMemory(Arc<Shared>);

impl Connector for InMemory {
    fn connect(&self) -> ConnectFuture {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let (near, far) = tokio::io::duplex(64 * 1024);
            tokio::spawn(serve(shared, (far, |_| false), CALLER, Admission::Served));
            io::Result::Ok(Box::new(near) as Box<dyn Transport>)
        })
    }

    fn address(&self) -> String {
        "memory".to_owned()
    }
}

async fn client(shared: &Arc<Shared>) -> Client {
    Client::connect_with(InMemory(Arc::clone(shared)), kvs_client::Options::default())
        .await
        .unwrap()
}

#[tokio::test]
async fn values_of_every_length_come_back() {
    let shared = daemon().await;
    let primary = client(&shared).await.namespace("primary");
    for length in [0, 1, 128, 129, 70_000, 3_000_000, 9_000_000] {
        let value: Bytes = (0..length)
            .map(|n| (n % 251) as u8)
            .collect::<Vec<_>>()
            .into();
        primary.put("v", value.clone()).await.unwrap();
        assert!(primary.get("v").await.unwrap() == Some(value), "{length}");
    }
    let part = primary
        .read("v", At::Current, 8_999_990, 100)
        .await
        .unwrap();
    assert_eq!((part.bytes.len(), part.size), (10, 9_000_000));
}

#[tokio::test]
async fn links_are_followed_and_answers_tell_where_they_led() {
    let shared = daemon().await;
    let primary = client(&shared).await.namespace("primary");
    let transaction = Transaction::new().put("a.b", "1").link("l", "a");
    primary.commit(transaction).await.unwrap();
    let found = primary
        .lookup("l.b", LookupOptions::default())
        .await
        .unwrap();
    assert_eq!((found.key.as_str(), found.position.version), ("a.b", 1));
    let missing = primary
        .lookup("l.c", LookupOptions::default())
        .await
        .unwrap();
    assert_eq!((missing.entry, missing.position.version), (None, 1));
    let asked = LookupOptions::new().no_follow().treeobj();
    let link = primary.lookup("l", asked).await.unwrap();
    assert!(matches!(link.entry, Some(kvs_client::Entry::Link(_))));
    assert_eq!(
        link.treeobj.unwrap(),
        r#"{"data":{"target":"a"},"type":"symlink","ver":1}"#
    );
    let listed = primary.list("l", ListOptions::default()).await.unwrap();
    assert_eq!((listed.key.as_str(), listed.entries.len()), ("a", 1));
    let not = primary
        .list("l.b", ListOptions::default())
        .await
        .unwrap_err();
    assert_eq!(not.code, ErrorCode::NotDirectory);
}

#[tokio::test]
async fn a_listing_in_pages_is_of_one_state() {
    let shared = daemon().await;
    let primary = client(&shared).await.namespace("primary");
    let mut transaction = Transaction::new();
    for n in 100..200 {
        transaction = transaction.put(format!("d.{n}"), "x");
    }
    primary.commit(transaction).await.unwrap();
    let options = ListOptions::new().limit(7);
    let first = primary.list("d", options.clone()).await.unwrap();
    assert_eq!((first.entries.len(), first.more), (7, true));
    primary
        .commit(Transaction::new().unlink("d"))
        .await
        .unwrap();
    let options = options.at(At::Snapshot(first.snapshot));
    let all = primary.list_all("d", options).await.unwrap();
    let keys: Vec<_> = all
        .entries
        .iter()
        .map(|entry| entry.key.to_string())
        .collect();
    assert_eq!(
        keys,
        (100..200).map(|n| format!("d.{n}")).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn an_event_tells_the_state_in_which_it_happened() {
    let shared = daemon().await;
    let primary = client(&shared).await.namespace("primary");
    let mut events = primary
        .watch(WatchOptions::new().scope("job.*.state"))
        .await
        .unwrap();
    for state in ["submitted", "running"] {
        let transaction = Transaction::new()
            .put("job.1.state", state)
            .put("job.1.note", state);
        primary.commit(transaction.name("tell")).await.unwrap();
    }
    primary.put("job.1.other", "x").await.unwrap();
    for state in ["submitted", "running"] {
        let Event::Changes(changes) = events.recv().await.unwrap() else {
            panic!()
        };
        assert_eq!(changes.changes.len(), 1);
        assert_eq!(changes.transactions[0].name.as_deref(), Some("tell"));
        let at = At::Snapshot(changes.snapshot);
        assert_eq!(
            primary.get_at("job.1.note", at).await.unwrap().unwrap(),
            state
        );
    }
}

#[tokio::test]
async fn the_log_tells_versions_and_keys() {
    let shared = daemon().await;
    let primary = client(&shared).await.namespace("primary");
    for n in 1..=3 {
        primary
            .commit(Transaction::new().put(format!("k.{n}"), "x").no_merge())
            .await
            .unwrap();
    }
    let log = primary
        .log(LogOptions::new().from_version(2))
        .await
        .unwrap();
    assert_eq!((log.newest, log.next), (3, None));
    let last = log.versions.last().unwrap();
    assert_eq!(last.position.version, 3);
    assert!(last.changes.iter().any(|change| change.key == "k.3"));
}

#[tokio::test]
async fn namespaces_and_pins_are_made_listed_and_removed() {
    let shared = daemon().await;
    let client = client(&shared).await;
    let create = wire::NamespaceCreate::named("other");
    let made = client.create_namespace(create.clone()).await.unwrap();
    assert_eq!(
        (made.name.as_str(), made.owner, made.position.version),
        ("other", OWNER, 0)
    );
    let again = client.create_namespace(create).await.unwrap_err();
    assert_eq!(again.code, ErrorCode::Exists);
    let other = client.namespace("other");
    other.put("k", "x").await.unwrap();
    let info = other.info(At::Current).await.unwrap();
    assert_eq!(
        (info.position.version, info.owner, info.directory.entries),
        (1, OWNER, 1)
    );
    let pin = client.pin(info.snapshot.clone(), None).await.unwrap();
    assert_eq!(client.pins().await.unwrap(), std::slice::from_ref(&pin));
    client.unpin(pin.id).await.unwrap();
    assert!(client.pins().await.unwrap().is_empty());
    assert_eq!(client.namespaces().await.unwrap().len(), 2);
    client.remove_namespace("other").await.unwrap();
    let gone = other.get("k").await.unwrap_err();
    assert_eq!(gone.code, ErrorCode::NoNamespace);
    client.sync().await.unwrap();
    assert!(
        client
            .status()
            .await
            .unwrap()
            .counters
            .contains_key("connections")
    );
}

fn piece(upload: u64, offset: u64, bytes: impl Into<Bytes>) -> UploadData {
    UploadData {
        upload,
        offset,
        bytes: bytes.into(),
    }
}

fn put_upload(number: u64, upload: u64, size: u64) -> Commit {
    Commit {
        operations: vec![Operation::PutUpload {
            key: "k".into(),
            upload,
            size,
        }],
        ..put(number, "k", "")
    }
}

#[tokio::test(start_paused = true)]
async fn uploads_are_checked_and_taken_once() {
    let shared = daemon().await;
    let mut raw = Raw::open(&shared).await;
    for id in 1..=8 {
        raw.send(id, upload()).await;
        assert_eq!(raw.receive().await.tag, Status::Final.code());
    }
    raw.send(9, upload()).await;
    assert_eq!(raw.refused().await, (9, ErrorCode::Limit));
    raw.send(8, Empty {}).await;
    let too_long = vec![0; UPLOAD_CHUNK_BYTES + 1];
    for (data, code) in [
        (piece(99, 0, "x"), ErrorCode::Invalid),
        (piece(8, 0, "x"), ErrorCode::Invalid),
        (piece(2, 1, "x"), ErrorCode::Invalid),
        (piece(2, 0, too_long), ErrorCode::TooBig),
    ] {
        raw.send(20, data).await;
        assert_eq!(raw.refused().await, (20, code));
    }
    // Those two uploads have ended, and do not count as empty ones.
    for (id, wrong) in [
        (3, piece(3, 7, "x")),
        (4, piece(4, 0, vec![0; UPLOAD_CHUNK_BYTES + 1])),
    ] {
        raw.send(21, wrong).await;
        raw.refused().await;
        raw.send(22, piece(id, 0, "x")).await;
        assert_eq!(raw.refused().await, (22, ErrorCode::Invalid));
        raw.send(23, put_upload(9, id, 0)).await;
        assert_eq!(raw.refused().await, (23, ErrorCode::Invalid));
    }
    // Send everything at once: the commit waits for the pieces.
    let bytes = vec![7u8; 600_000];
    raw.queue(30, piece(1, 0, bytes.clone()));
    raw.queue(31, piece(1, 600_000, bytes));
    raw.queue(32, put_upload(1, 1, 1_200_000));
    raw.0.flush().await.unwrap();
    let mut answered = Vec::new();
    for _ in 0..3 {
        let frame = raw.receive().await;
        assert_eq!(frame.tag, Status::Final.code(), "{}", frame.id);
        answered.push(frame.id);
    }
    assert_eq!(answered.last(), Some(&32));
    raw.send(33, put_upload(2, 1, 1_200_000)).await;
    assert_eq!(raw.refused().await, (33, ErrorCode::Invalid), "taken");
    raw.send(34, put_upload(3, 2, 5)).await;
    assert_eq!(raw.refused().await, (34, ErrorCode::Invalid), "not all");

    // The connection and its uploads are lost; the outcome of the commit is still known.
    drop(raw);
    let mut raw = Raw::open(&shared).await;
    let repeat = wire::Position {
        incarnation: 0,
        version: 0,
    };
    for (number, known) in [(1, true), (4, false)] {
        let again = Commit {
            repeat: Some(repeat),
            ..put_upload(number, 1, 1_200_000)
        };
        raw.send(40, again).await;
        if known {
            let answer: CommitAnswer = body(&raw.receive().await);
            assert_eq!(answer.position.version, 1);
        } else {
            assert_eq!(raw.refused().await, (40, ErrorCode::Invalid));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_dropped_when_nothing_is_heard_of_it() {
    let shared = daemon().await;
    let mut raw = Raw::open(&shared).await;
    for id in [1, 2] {
        raw.send(id, upload()).await;
        raw.receive().await;
    }
    for _ in 0..3 {
        tokio::time::advance(UPLOAD_TIMEOUT / 2).await;
        raw.send(3, piece(1, 0, "")).await;
        assert_eq!(raw.receive().await.tag, Status::Final.code());
    }
    raw.send(4, piece(2, 0, "")).await;
    assert_eq!(raw.refused().await, (4, ErrorCode::Invalid));
}

#[tokio::test(start_paused = true)]
async fn the_client_library_sends_and_reads_long_values_in_pieces() {
    let shared = daemon().await;
    let client = Client::connect_with(
        InMemory(Arc::clone(&shared)),
        kvs_client::Options::default(),
    );
    let client = client.await.unwrap();
    let primary = client.namespace("primary");
    let mut upload = primary.upload().await.unwrap();
    let value: Vec<u8> = (0..5_000_000u32).flat_map(u32::to_be_bytes).collect();
    upload.write(value.clone()).await.unwrap();
    upload.keep_alive().await.unwrap();
    let uploaded = upload.finish().await.unwrap();
    let transaction = Transaction::new().put_upload("big", uploaded);
    primary.commit(transaction).await.unwrap();
    let mut reader = primary.reader("big", At::Current, 3, value.len() as u64);
    let mut read = Vec::new();
    while let Some(piece) = reader.next().await.unwrap() {
        read.extend_from_slice(&piece);
    }
    assert!(read == value[3..]);
    let past = value.len() as u64 + 1;
    let mut reader = primary.reader("big", At::Current, past - 9, past);
    assert_eq!(reader.next().await.unwrap_err().code, ErrorCode::Corrupt);
}
