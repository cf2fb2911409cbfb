//! Rights: namespaces that are shared read-only, and what a right that was withdrawn ends.

use std::sync::Arc;

use kvs_engine::{At, Caller, CrashVariant, Engine, ErrorKind, SimDisk, Start, WatchRequest};
use kvs_tree::Scope;

use crate::support::*;

const OWNING: Caller = Caller { uid: 4242 };
const READER: Caller = Caller { uid: 4243 };

/// A namespace `theirs` of `OWNING` with a value in it, shared with `READER`.
async fn shared(sim: &Sim) {
    let engine = &sim.engine;
    engine
        .create_namespace(OWNER, "theirs", Some(OWNING.uid))
        .await
        .unwrap();
    let mut request = sim.request(vec![put("a", "1")]);
    (request.namespace, request.caller) = ("theirs".into(), OWNING);
    engine.commit(request).await.unwrap();
    engine
        .share_namespace(OWNING, "theirs", READER.uid, true)
        .await
        .unwrap();
}

async fn readable(engine: &Engine, caller: Caller) -> Result<(), ErrorKind> {
    let view = engine.view(caller, "theirs", At::Current).await;
    view.map(drop).map_err(|error| error.kind)
}

#[tokio::test(start_paused = true)]
async fn a_reader_may_read_and_nothing_else() {
    let sim = Sim::new().await;
    shared(&sim).await;
    let engine = &sim.engine;
    let view = engine.view(READER, "theirs", At::Current).await.unwrap();
    assert_eq!(read(&view, "a").await.unwrap(), "1");
    let old = engine
        .view(READER, "theirs", At::Snapshot(view.snapshot()))
        .await;
    assert!(old.is_ok());
    assert!(
        engine
            .log(READER, "theirs", 0, 9, &[], 9)
            .await
            .is_ok_and(|page| page.entries.len() == 1)
    );
    let pin = engine.pin(READER, view.snapshot(), None).await.unwrap();
    assert_eq!(engine.pins(READER).len(), 1);
    engine.unpin(READER, pin.id).await.unwrap();

    // Conditions tell of the content too, but committing is for owners.
    for operations in [vec![put("b", "2")], Vec::new()] {
        let mut request = sim.request(operations);
        (request.namespace, request.caller) = ("theirs".into(), READER);
        let refused = engine.commit(request).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Permission);
    }
    for refused in [
        engine.share_namespace(READER, "theirs", 1, true).await,
        engine
            .share_namespace(READER, "theirs", READER.uid, false)
            .await,
        engine.remove_namespace(READER, "theirs").await,
        engine.create_namespace(READER, "more", None).await,
        engine
            .fork_namespace(READER, "more", None, At::Snapshot(view.snapshot()))
            .await,
    ] {
        assert_eq!(refused.unwrap_err().kind, ErrorKind::Permission);
    }
    let bare = engine.view(READER, "theirs", At::Root(view.root())).await;
    assert_eq!(bare.err().unwrap().kind, ErrorKind::Permission);

    let told = |caller| {
        let namespaces = engine.namespaces(caller);
        let theirs = namespaces.iter().find(|info| info.name == "theirs");
        theirs.map(|info| info.readers.clone())
    };
    assert_eq!(told(OWNING), Some(vec![READER.uid]));
    assert_eq!(told(READER), Some(Vec::new()), "who else may is not told");
    assert_eq!(told(Caller { uid: 1 }), None);
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_right_ends_watches_waits_and_reads() {
    let sim = Sim::new().await;
    shared(&sim).await;
    let engine = &sim.engine;
    let wakes = Arc::new(Wakes::default());
    let request = WatchRequest::new(vec![Scope::parse("a").unwrap()], Start::Now);
    let mut watch = engine
        .watch(READER, "theirs", request, wakes.clone(), 0)
        .unwrap();
    assert!(watch.next().await.unwrap().is_none());
    let waiting = engine.clone();
    let wait = tokio::spawn(async move { waiting.wait_version(READER, "theirs", 2, None).await });
    tokio::task::yield_now().await;
    assert_eq!(wakes.count(), 0);
    engine
        .share_namespace(OWNING, "theirs", READER.uid, false)
        .await
        .unwrap();
    assert_eq!(wakes.count(), 1, "an idle watch is told");
    assert_eq!(watch.next().await.unwrap_err().kind, ErrorKind::Permission);
    assert_eq!(readable(engine, READER).await, Err(ErrorKind::Permission));
    let waited = wait.await.unwrap();
    assert_eq!(waited.unwrap_err().kind, ErrorKind::Permission);
}

#[tokio::test(start_paused = true)]
async fn waits_of_others_go_on_when_a_right_is_withdrawn() {
    let sim = Sim::new().await;
    shared(&sim).await;
    let engine = sim.engine.clone();
    let wait = tokio::spawn(async move { engine.wait_version(OWNING, "theirs", 2, None).await });
    tokio::task::yield_now().await;
    let withdrawn = sim
        .engine
        .share_namespace(OWNING, "theirs", READER.uid, false);
    withdrawn.await.unwrap();
    tokio::task::yield_now().await;
    assert!(!wait.is_finished());
    let mut request = sim.request(vec![put("a", "2")]);
    (request.namespace, request.caller) = ("theirs".into(), OWNING);
    sim.engine.commit(request).await.unwrap();
    assert_eq!(wait.await.unwrap().unwrap().version, 2);
}

#[tokio::test(start_paused = true)]
async fn rights_survive_restarts_and_power_cuts_and_not_the_namespace() {
    let disk = SimDisk::new();
    let sim = Sim::with(config(), disk.clone()).await;
    shared(&sim).await;
    // Replayed from the journal, and then from the manifest.
    let mut replayed = Sim::with(config(), disk.images_after(usize::MAX, CrashVariant::Lost)).await;
    for _ in 0..2 {
        assert_eq!(readable(&replayed.engine, READER).await, Ok(()));
        replayed = replayed.restart().await;
    }
    let engine = &replayed.engine;
    engine
        .share_namespace(OWNER, "theirs", READER.uid, false)
        .await
        .unwrap();
    let replayed = replayed.restart().await;
    let engine = &replayed.engine;
    assert_eq!(readable(engine, READER).await, Err(ErrorKind::Permission));
    engine
        .share_namespace(OWNER, "theirs", READER.uid, true)
        .await
        .unwrap();
    engine.remove_namespace(OWNER, "theirs").await.unwrap();
    engine
        .create_namespace(OWNER, "theirs", Some(OWNING.uid))
        .await
        .unwrap();
    assert_eq!(readable(engine, READER).await, Err(ErrorKind::Permission));
    let none = engine.share_namespace(OWNER, "nowhere", 1, true).await;
    assert_eq!(none.unwrap_err().kind, ErrorKind::NoNamespace);
}

#[tokio::test(start_paused = true)]
async fn a_guest_has_so_many_pins_and_readers_so_many_places() {
    let sim = Sim::new().await;
    shared(&sim).await;
    let engine = &sim.engine;
    let view = engine.view(READER, "theirs", At::Current).await.unwrap();
    for _ in 0..kvs_engine::limits::GUEST_PINS {
        engine.pin(READER, view.snapshot(), None).await.unwrap();
    }
    let refused = engine.pin(READER, view.snapshot(), None).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Limit);
    engine.pin(OWNER, view.snapshot(), None).await.unwrap();
    for uid in 0..kvs_engine::limits::READERS as u32 - 1 {
        let shared = engine.share_namespace(OWNING, "theirs", uid, true).await;
        shared.unwrap();
    }
    let refused = engine
        .share_namespace(OWNING, "theirs", 99_999, true)
        .await
        .unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Limit);
}
