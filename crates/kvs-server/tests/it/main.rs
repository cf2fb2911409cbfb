//! The daemon as a library: complete client sessions over in-memory streams, through the public
//! interface only.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use kvs_client::{
    Client, ClientError, ErrorCode, Options as ClientOptions, Transaction, WatchOptions,
};
use kvs_server::{Access, Daemon, DaemonError, MemoryConnector, Options, Principal, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const GUEST: Principal = Principal::Uid(4711);

/// A running daemon without a socket.
struct Running {
    owner: MemoryConnector,
    guest: MemoryConnector,
    server: Server,
    stop: CancellationToken,
    served: JoinHandle<Result<(), DaemonError>>,
}

impl Running {
    async fn start(directory: &Path, access: Access) -> Running {
        let mut options = Options::new(directory.join("store"));
        options.access = access;
        let owner = Principal::Uid(options.engine.instance_owner);
        let daemon = Daemon::open(options).await.unwrap();
        Running {
            owner: daemon.connector(owner),
            guest: daemon.connector(GUEST),
            server: daemon.server(),
            stop: daemon.stopper(),
            served: tokio::spawn(daemon.run()),
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.served.await.unwrap().unwrap();
    }
}

async fn connect(connector: &MemoryConnector) -> Result<Client, ClientError> {
    let options = ClientOptions::new().reconnect_time(Duration::ZERO);
    Client::connect_with(connector.clone(), options).await
}

#[tokio::test]
async fn a_client_inside_the_process_does_what_one_at_a_socket_does() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(directory.path(), Access::Owner).await;
    let client = connect(&running.owner).await.unwrap();
    let primary = client.namespace("primary");
    let mut watch = primary
        .watch(WatchOptions::new().scope("a.*"))
        .await
        .unwrap();
    let long = vec![b'v'; 3_000_000];
    let transaction = Transaction::new()
        .put("a.b", "short")
        .put("a.c", long.clone());
    let committed = primary.commit(transaction).await.unwrap();
    let event = watch.recv().await.unwrap();
    assert_eq!(event.snapshot(), Some(committed.snapshot().as_str()));
    assert_eq!(primary.get("a.b").await.unwrap().unwrap(), "short");
    // Longer than the stream's buffer, so it arrives in pieces.
    assert_eq!(primary.get("a.c").await.unwrap().unwrap(), long);
    running.stop().await;
    let running = Running::start(directory.path(), Access::Owner).await;
    let client = connect(&running.owner).await.unwrap();
    let found = client.namespace("primary").get("a.b").await.unwrap();
    assert_eq!(found.unwrap(), "short", "what was answered is durable");
    running.stop().await;
}

#[tokio::test]
async fn who_asks_is_decided_where_the_stream_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(directory.path(), Access::Owner).await;
    let refused = connect(&running.guest).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Permission);
    running.stop().await;
    let running = Running::start(directory.path(), Access::Everybody).await;
    let guest = connect(&running.guest).await.unwrap();
    assert_eq!(guest.server().uid, GUEST.uid());
    let refused = guest.namespace("primary").put("a", "1").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Permission);
    running.stop().await;
}

#[tokio::test]
async fn nobody_connects_to_a_daemon_that_has_ended_and_who_is_connected_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(directory.path(), Access::Owner).await;
    let client = connect(&running.owner).await.unwrap();
    let connector = running.owner.clone();
    running.stop().await;
    let error = client.namespace("primary").put("a", "1").await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Disconnected);
    let error = connect(&connector).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Disconnected);
    assert!(error.message.contains("memory:"), "{error}");
}

#[tokio::test]
async fn bytes_that_are_no_frames_end_a_session_over_any_stream_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(directory.path(), Access::Owner).await;
    for noise in [
        &[][..],
        &[0xff; 5000],
        &[0, 0, 0, 1],
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let (mut near, far) = tokio::io::duplex(64);
        let server = running.server.clone();
        let session = tokio::spawn(async move { server.serve(far, GUEST).await });
        // The session may end before it has read everything.
        let _ = near.write_all(noise).await;
        let _ = near.shutdown().await;
        let mut answer = Vec::new();
        let _ = near.read_to_end(&mut answer).await;
        session.await.unwrap();
    }
    let client = connect(&running.owner).await.unwrap();
    client.namespace("primary").put("a", "1").await.unwrap();
    running.stop().await;
}
