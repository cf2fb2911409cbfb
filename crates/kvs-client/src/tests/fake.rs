//! A daemon whose every answer is written down in the test.

use crate::{Client, ClientError, ConnectFuture, Connector, Options, Transport};
use bytes::BytesMut;
use kvs_proto::*;
use kvs_tree::{Blobref, HashAlgorithm};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::sync::mpsc;
use tokio_util::codec::Decoder;

/// Where clients of the fake connect to.
#[derive(Clone)]
pub(super) struct Door {
    accepted: mpsc::UnboundedSender<DuplexStream>,
    refuse: Arc<AtomicUsize>,
    /// Writes of all clients so far.
    pub(super) writes: Arc<AtomicUsize>,
}

/// The client's side of a connection; counts writes.
struct Counted {
    stream: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connector for Door {
    fn connect(&self) -> ConnectFuture {
        let door = self.clone();
        Box::pin(async move {
            let left = door.refuse.load(Ordering::SeqCst);
            if left > 0 {
                door.refuse.store(left - 1, Ordering::SeqCst);
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (here, there) = tokio::io::duplex(1 << 20);
            let _ = door.accepted.send(there);
            let counted = Counted {
                stream: here,
                writes: door.writes,
            };
            Ok(Box::new(counted) as Box<dyn Transport>)
        })
    }

    fn address(&self) -> String {
        "fake".to_owned()
    }
}

/// The fake daemon.
pub(super) struct Fake {
    accepted: mpsc::UnboundedReceiver<DuplexStream>,
    pub(super) door: Door,
    /// Whether it says that it is there for one command only.
    pub(super) temporary: bool,
}

impl Fake {
    pub(super) fn new() -> Self {
        let (sender, accepted) = mpsc::unbounded_channel();
        Fake {
            accepted,
            temporary: false,
            door: Door {
                accepted: sender,
                refuse: Arc::default(),
                writes: Arc::default(),
            },
        }
    }

    /// The next `count` attempts fail.
    pub(super) fn refuse(&self, count: usize) {
        self.door.refuse.store(count, Ordering::SeqCst);
    }

    pub(super) fn refusals_left(&self) -> usize {
        self.door.refuse.load(Ordering::SeqCst)
    }

    /// The next connection, after its hello.
    pub(super) async fn accept(&mut self) -> Peer {
        let stream = self.accepted.recv().await.unwrap();
        let mut peer = Peer {
            stream,
            read: BytesMut::new(),
            hello: None,
        };
        let (id, request) = peer.request().await;
        let Request::Hello(hello) = request else {
            panic!("{request:?} instead of hello")
        };
        peer.hello = Some(hello);
        let limits = ServerLimits::default();
        let at = NamespacePosition {
            namespace: "primary".into(),
            position: at(10),
        };
        let answer = HelloAnswer {
            version: PROTOCOL_VERSION,
            uid: 0,
            algorithm: "blake3".into(),
            software: "fake".into(),
            limits,
            positions: vec![at],
            temporary: self.temporary,
        };
        peer.answer(id, &answer).await;
        peer
    }

    /// A client and the daemon's side of its connection.
    pub(super) async fn connected(&mut self, options: Options) -> (Client, Peer) {
        let client = Client::connect_with(self.door.clone(), options);
        let (client, peer) = tokio::join!(client, self.accept());
        (client.unwrap(), peer)
    }

    /// What listens sends these bytes, whatever it is asked, and stays.
    pub(super) async fn fails_to_connect_to(&mut self, sent: &[u8]) -> ClientError {
        let listener = async {
            let mut stream = self.accepted.recv().await.unwrap();
            stream.write_all(sent).await.unwrap();
            stream
        };
        let client = Client::connect_with(self.door.clone(), Options::default());
        tokio::join!(client, listener).0.unwrap_err()
    }

    pub(super) async fn fails_to_connect(&self, options: Options) -> ClientError {
        Client::connect_with(self.door.clone(), options)
            .await
            .unwrap_err()
    }
}

/// The daemon's side of one connection. Dropping it is losing it.
pub(super) struct Peer {
    stream: DuplexStream,
    read: BytesMut,
    pub(super) hello: Option<Hello>,
}

impl Peer {
    /// The next request; `None` when the client has closed.
    pub(super) async fn next(&mut self) -> Option<(u64, Request)> {
        loop {
            if let Some(frame) = FrameCodec::default().decode(&mut self.read).unwrap() {
                let op = Op::from_code(frame.tag).unwrap();
                return Some((frame.id, Request::decode(op, &frame.body).unwrap()));
            }
            if self.stream.read_buf(&mut self.read).await.unwrap() == 0 {
                return None;
            }
        }
    }

    pub(super) async fn request(&mut self) -> (u64, Request) {
        self.next().await.expect("a request")
    }

    pub(super) async fn commit(&mut self) -> (u64, Commit) {
        match self.request().await {
            (id, Request::Commit(commit)) => (id, commit),
            other => panic!("{other:?} instead of a commit"),
        }
    }

    pub(super) async fn watch(&mut self) -> (u64, Watch) {
        match self.request().await {
            (id, Request::Watch(watch)) => (id, watch),
            other => panic!("{other:?} instead of a watch"),
        }
    }

    async fn write<T: serde::Serialize>(&mut self, id: u64, status: Status, body: &T) {
        let mut out = BytesMut::new();
        write_answer(&mut out, FRAME_BYTES, id, status, body).unwrap();
        self.stream.write_all(&out).await.unwrap();
    }

    pub(super) async fn answer<T: serde::Serialize>(&mut self, id: u64, body: &T) {
        self.write(id, Status::Final, body).await;
    }

    pub(super) async fn item(&mut self, id: u64, item: WatchItem) {
        self.item_body(id, &item).await;
    }

    /// An item of any stream.
    pub(super) async fn item_body<T: serde::Serialize>(&mut self, id: u64, body: &T) {
        self.write(id, Status::Item, body).await;
    }

    pub(super) async fn started(&mut self, id: u64, version: u64) {
        self.item(
            id,
            WatchItem::Started(Started {
                position: at(version),
            }),
        )
        .await;
    }

    pub(super) async fn error(&mut self, id: u64, code: ErrorCode) {
        self.error_that(id, code, "because").await;
    }

    pub(super) async fn error_that(&mut self, id: u64, code: ErrorCode, message: &str) {
        self.write(id, Status::Error, &ErrorBody::new(code, message))
            .await;
    }

    pub(super) async fn committed(&mut self, id: u64, version: u64) {
        let position = at(version);
        self.answer(
            id,
            &CommitAnswer {
                position,
                results: Vec::new(),
                root: Some(root()),
            },
        )
        .await;
    }

    pub(super) async fn garbage(&mut self) {
        self.stream.write_all(&[0, 0, 0, 1, 0xc0]).await.unwrap();
    }
}

/// The root of every version.
pub(super) fn root() -> Blobref {
    Blobref::of(HashAlgorithm::Blake3, b"")
}

pub(super) fn at(version: u64) -> Position {
    Position {
        incarnation: 1,
        version,
    }
}

/// A part of a version with one changed key.
pub(super) fn part(version: u64, key: &str, last: bool) -> WatchItem {
    let value = ChangeValue::Bytes("v".into());
    WatchItem::Changes(Changes {
        position: at(version),
        root: "".into(),
        snapshot: "".into(),
        time_ms: 0,
        transactions: Vec::new(),
        skipped: 0,
        changes: vec![Change::new(key, ChangeKind::Put, value)],
        behind: None,
        last,
    })
}
