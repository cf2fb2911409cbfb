//! Calls outside a runtime, in another one, and after it has ended.

use super::fake::{Fake, Peer, at};
use crate::*;
use kvs_proto::{Empty, NamespaceRoot, Request, RootItem, RootStarted, RootState};
use std::ops::ControlFlow;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Polls once what needs no more.
#[track_caller]
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

async fn pair(fake: &mut Fake) -> (Namespace, Peer) {
    let (client, peer) = fake.connected(Options::default()).await;
    (client.namespace("primary"), peer)
}

#[test]
fn connecting_outside_a_runtime_is_an_error() {
    let address = Address::Unix("/nowhere/kvs.sock".into());
    let error = at_once(Client::connect(&address)).unwrap_err();
    assert_eq!(error.code, ErrorCode::Invalid);
    assert!(error.message.contains("Tokio runtime"), "{}", error.message);
    let fake = Fake::new();
    let connecting = Client::connect_with(fake.door.clone(), Options::default());
    assert_eq!(at_once(connecting).unwrap_err().code, ErrorCode::Invalid);
}

#[test]
fn what_starts_a_task_outside_a_runtime_is_an_error() {
    let mut fake = Fake::new();
    let runtime = runtime();
    let (primary, _peer) = runtime.block_on(pair(&mut fake));
    let error = at_once(primary.cached()).unwrap_err();
    assert_eq!(error.code, ErrorCode::Invalid);
    let watching = primary.watch_with(WatchOptions::new(), |_, _| async {
        Ok(ControlFlow::Continue(()))
    });
    assert_eq!(at_once(watching).unwrap_err().code, ErrorCode::Invalid);
}

#[test]
fn a_client_serves_another_runtime_than_its_own() {
    let mut fake = Fake::new();
    let (first, second) = (runtime(), runtime());
    let (primary, mut peer) = first.block_on(pair(&mut fake));
    let client = primary.client().clone();
    let daemon = std::thread::spawn(move || {
        first.block_on(async {
            let (id, _) = peer.request().await;
            peer.answer(id, &Empty {}).await;
            assert!(peer.next().await.is_none(), "the client is closed");
        });
    });
    second.block_on(client.sync()).unwrap();
    drop((primary, client));
    daemon.join().unwrap();
}

#[test]
fn everything_fails_at_once_after_the_runtime_has_ended() {
    let mut fake = Fake::new();
    let runtime = runtime();
    let (primary, mut peer) = runtime.block_on(pair(&mut fake));
    let (mut watch, cached) = runtime.block_on(async {
        let daemon = async {
            let (id, _) = peer.watch().await;
            peer.started(id, 10).await;
            let (id, request) = peer.request().await;
            assert!(matches!(request, Request::SetRoot(_)), "{request:?}");
            let started = RootItem::Started(RootStarted::default());
            peer.item_body(id, &started).await;
            let standing = RootItem::State(RootState {
                lost: false,
                namespaces: vec![NamespaceRoot {
                    namespace: "primary".into(),
                    owner: 0,
                    position: at(10),
                    root: format!("blake3-{}", "ab".repeat(32)).into(),
                }],
                place: "10".into(),
            });
            peer.item_body(id, &standing).await;
        };
        let client = async {
            let watch = primary.watch(WatchOptions::new()).await.unwrap();
            (watch, primary.cached().await.unwrap())
        };
        tokio::join!(client, daemon).0
    });
    let pending = at_once(primary.submit(Transaction::new().put("a", "1"))).unwrap();
    drop(runtime);
    let gone = ErrorCode::Disconnected;
    assert_eq!(
        at_once(pending).unwrap_err().code,
        ErrorCode::OutcomeUnknown
    );
    assert_eq!(at_once(primary.put("a", "1")).unwrap_err().code, gone);
    assert_eq!(at_once(watch.recv()).unwrap_err().code, gone);
    assert_eq!(at_once(cached.get("a")).unwrap_err().code, gone);
    let opening = primary.watch(WatchOptions::new());
    assert_eq!(at_once(opening).unwrap_err().code, gone);
    drop((primary, watch, cached));
}

/// The least and the most that options can say.
fn extremes() -> [Options; 2] {
    let (least, most) = (Duration::ZERO, Duration::MAX);
    [
        Options::new().backoff(least, least).requests_in_flight(0),
        Options::new()
            .backoff(most, most)
            .reconnect_time(most)
            .connect_timeout(most)
            .requests_in_flight(usize::MAX),
    ]
}

#[tokio::test]
async fn the_least_and_the_most_of_every_option_can_be_lived_with() {
    for options in extremes() {
        let mut fake = Fake::new();
        let (client, mut peer) = fake.connected(options).await;
        for bytes in [0, 1, u64::MAX] {
            let primary = client.with_cache(bytes).namespace("primary");
            let snapshot = primary.snapshot(format!("primary@1:blake3-{}", "ab".repeat(32)));
            let getting = tokio::spawn(async move { snapshot.get("a").await });
            let (id, _) = peer.request().await;
            peer.error(id, ErrorCode::Compacted).await;
            let error = getting.await.unwrap().unwrap_err();
            assert_eq!(error.code, ErrorCode::Compacted);
        }
        for (number, time) in [(0, Duration::ZERO), (u64::MAX, Duration::MAX)] {
            let mut options = WatchOptions::new()
                .prefetch(number)
                .prefetch_bytes(number)
                .inline_max(number)
                .mark_interval(time)
                .append(number)
                .after(Position {
                    incarnation: number,
                    version: number,
                });
            options.assemble_bytes = usize::try_from(number).unwrap();
            let primary = client.namespace("primary");
            let opening = tokio::spawn(async move { primary.watch(options).await });
            let (id, watch) = peer.watch().await;
            assert!(watch.credit > 0 && watch.credit_bytes > Some(0));
            peer.started(id, 10).await;
            let mut stream = opening.await.unwrap().unwrap();
            stream.request_mark();
            peer.item(id, super::fake::part(11, "a", true)).await;
            let _ = stream.recv().await.unwrap();
            drop(stream);
            while !matches!(peer.request().await.1, Request::Cancel(_)) {}
        }
    }
}
