//! Watches as callbacks.

use super::fake::{Fake, Peer, at, part};
use crate::*;
use kvs_proto::{Changes, Empty, Request, WatchItem};
use std::ops::ControlFlow::{self, Break, Continue};
use tokio::sync::mpsc;

type Flow = Result<ControlFlow<()>, ClientError>;

/// A callback watch that tells the versions of its events and gives what it is told to.
async fn watching(
    options: WatchOptions,
) -> (
    Fake,
    WatchHandle,
    Peer,
    u64,
    mpsc::UnboundedReceiver<(u64, Snapshot, tokio::sync::oneshot::Sender<Flow>)>,
) {
    let mut fake = Fake::new();
    let (client, mut peer) = fake.connected(Options::default()).await;
    let (sender, calls) = mpsc::unbounded_channel();
    let opening = tokio::spawn(async move {
        let callback = move |event: Event, snapshot: Snapshot| {
            let sender = sender.clone();
            async move {
                let (answer, flow) = tokio::sync::oneshot::channel();
                let version = event.position().unwrap().version;
                sender.send((version, snapshot, answer)).unwrap();
                flow.await.unwrap()
            }
        };
        client.watch_with("primary", options, callback).await
    });
    let (id, _) = peer.watch().await;
    peer.started(id, 10).await;
    (fake, opening.await.unwrap().unwrap(), peer, id, calls)
}

fn event(version: u64) -> WatchItem {
    let WatchItem::Changes(changes) = part(version, "a", true) else {
        panic!()
    };
    let snapshot = format!("primary@{version}:x").into();
    WatchItem::Changes(Changes {
        snapshot,
        ..changes
    })
}

#[tokio::test]
async fn events_are_handed_over_one_at_a_time_and_read_at_their_snapshot() {
    let options = WatchOptions::new().prefetch(2);
    let (_fake, handle, mut peer, id, mut calls) = watching(options).await;
    assert_eq!(handle.handled(), Some(at(10)));
    peer.item(id, event(11)).await;
    peer.item(id, event(12)).await;
    let (version, snapshot, done) = calls.recv().await.unwrap();
    assert_eq!(version, 11);
    // Credit for the event that was taken, none for the one that waits.
    let (_, request) = peer.request().await;
    assert!(matches!(request, Request::Credit(credit) if credit.add == 1));
    let reading = tokio::spawn(async move { snapshot.get("b").await });
    let (_, request) = peer.request().await;
    let Request::Lookup(lookup) = request else {
        panic!("{request:?}")
    };
    assert_eq!(lookup.at, At::Snapshot("primary@11:x".into()));
    reading.abort();
    assert!(calls.is_empty(), "the first is not handled yet");
    done.send(Ok(Continue(()))).unwrap();
    let (version, _, done) = calls.recv().await.unwrap();
    assert_eq!((version, handle.handled()), (12, Some(at(11))));
    done.send(Ok(Break(()))).unwrap();
    assert_eq!(handle.wait().await.unwrap(), Some(at(12)));
}

#[tokio::test]
async fn a_stop_lets_the_callback_end_and_hands_over_no_further_event() {
    let (_fake, handle, mut peer, id, mut calls) = watching(WatchOptions::new()).await;
    peer.item(id, event(11)).await;
    peer.item(id, event(12)).await;
    let (_, _, done) = calls.recv().await.unwrap();
    let stopping = handle.stop();
    tokio::pin!(stopping);
    let early = tokio::select! {
        biased;
        _ = &mut stopping => true,
        () = tokio::task::yield_now() => false,
    };
    assert!(!early);
    done.send(Ok(Continue(()))).unwrap();
    assert_eq!(stopping.await.unwrap(), Some(at(11)));
    assert!(calls.recv().await.is_none());
    assert_eq!(peer.request().await, (id, Request::Cancel(Empty {})));
}

#[tokio::test]
async fn errors_of_the_callback_and_of_the_watch_are_told() {
    let (_fake, handle, mut peer, id, mut calls) = watching(WatchOptions::new()).await;
    peer.item(id, event(11)).await;
    let (_, _, done) = calls.recv().await.unwrap();
    done.send(Err(ClientError::new(ErrorCode::ConditionFailed, "k")))
        .unwrap();
    let error = handle.wait().await.unwrap_err();
    assert_eq!(error.code, ErrorCode::ConditionFailed);

    let (_fake, handle, mut peer, id, _calls) = watching(WatchOptions::new()).await;
    peer.error(id, ErrorCode::Permission).await;
    let error = handle.wait().await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Permission);
}
