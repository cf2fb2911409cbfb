//! Namespaces that change owners: rights afterwards, what ends, and which followers are notified.

use std::sync::Arc;

use kvs_engine::{
    At, CrashVariant, Engine, ErrorKind, Follower, Principal, RootEvent, SimDisk, Start,
    WatchRequest,
};
use kvs_tree::Scope;

use crate::support::*;

const BEFORE: Principal = Principal::Uid(4242);
const AFTER: Principal = Principal::Uid(4243);
const READER: Principal = Principal::Uid(4244);

/// Creates a namespace `theirs` of `BEFORE` with a value, readable by `READER`.
async fn owned(sim: &Sim) {
    let engine = &sim.engine;
    let made = engine.create_namespace(OWNER, "theirs", Some(BEFORE));
    made.await.unwrap();
    commit(sim, BEFORE, "a", "1").await.unwrap();
    for uid in [READER, BEFORE, AFTER] {
        let shared = engine.share_namespace(BEFORE, "theirs", uid, true);
        shared.await.unwrap();
    }
}

async fn commit(sim: &Sim, caller: Principal, at: &str, value: &str) -> Result<u64, ErrorKind> {
    let mut request = sim.request(vec![put(at, value.to_owned())]);
    (request.namespace, request.caller) = ("theirs".into(), caller);
    let committed = sim.engine.commit(request).await;
    committed
        .map(|done| done.position.version)
        .map_err(|error| error.kind)
}

async fn chown(engine: &Engine, owner: Principal) {
    let done = engine.chown_namespace(OWNER, "theirs", owner).await;
    done.unwrap();
}

async fn readable(engine: &Engine, caller: Principal) -> Result<(), ErrorKind> {
    let view = engine.view(caller, "theirs", At::Current).await;
    view.map(drop).map_err(|error| error.kind)
}

fn follow(sim: &Sim, caller: Principal, only: Option<&str>) -> (Follower, Arc<Wakes>) {
    let sink = Arc::new(Wakes::default());
    let follower = sim
        .engine
        .follow(caller, only, Start::Now, sink.clone(), 0)
        .unwrap();
    (follower, sink)
}

async fn all(follower: &mut Follower) -> Vec<RootEvent> {
    let mut events = Vec::new();
    while let Some(event) = follower.next().await.unwrap() {
        events.push(event);
    }
    events
}

/// Whether the event reports the change of owner.
fn tells(event: &RootEvent) -> bool {
    matches!(event, RootEvent::OwnerChanged { namespace, owner, before, .. }
        if namespace == "theirs" && (*owner, *before) == (AFTER, BEFORE))
}

#[tokio::test(start_paused = true)]
async fn the_new_owner_has_every_right_and_the_old_one_none() {
    let sim = Sim::new().await;
    owned(&sim).await;
    let engine = &sim.engine;
    chown(engine, AFTER).await;
    assert_eq!(commit(&sim, AFTER, "a", "2").await, Ok(2));
    let refused = Err(ErrorKind::Permission);
    assert_eq!(commit(&sim, BEFORE, "a", "3").await, refused.map(|()| 0));
    assert_eq!(readable(engine, BEFORE).await, refused, "not even shared");
    assert_eq!(readable(engine, READER).await, Ok(()), "shares stay");
    let owners = engine.namespaces(AFTER);
    let theirs = owners.iter().find(|info| info.name == "theirs").unwrap();
    assert_eq!((theirs.owner, &theirs.readers), (AFTER, &vec![READER]));
    let unshared = engine.share_namespace(BEFORE, "theirs", READER, false);
    assert_eq!(unshared.await.unwrap_err().kind, ErrorKind::Permission);
    let unshared = engine.share_namespace(AFTER, "theirs", READER, false);
    unshared.await.unwrap();
    assert_eq!(readable(engine, READER).await, refused);
}

#[tokio::test(start_paused = true)]
async fn only_the_instance_owner_gives_namespaces_away() {
    let sim = Sim::new().await;
    owned(&sim).await;
    let engine = &sim.engine;
    for caller in [BEFORE, AFTER, READER] {
        let refused = engine.chown_namespace(caller, "theirs", AFTER).await;
        assert_eq!(refused.unwrap_err().kind, ErrorKind::Permission);
    }
    let nowhere = engine
        .chown_namespace(OWNER, "nowhere", Principal::Uid(1))
        .await;
    assert_eq!(nowhere.unwrap_err().kind, ErrorKind::NoNamespace);
    let nobody = engine
        .chown_namespace(OWNER, "theirs", Principal::Uid(u32::MAX))
        .await;
    assert_eq!(nobody.unwrap_err().kind, ErrorKind::Invalid);
    // Primary may change owners too: the instance owner may use it all the same.
    let primary = engine.chown_namespace(OWNER, NS, AFTER).await;
    primary.unwrap();
    sim.put("a", "1").await;
}

#[tokio::test(start_paused = true)]
async fn streams_of_the_old_owner_end_and_all_others_are_told() {
    let sim = Sim::new().await;
    owned(&sim).await;
    let engine = &sim.engine;
    let wakes = Arc::new(Wakes::default());
    let request = WatchRequest::new(vec![Scope::parse("a").unwrap()], Start::Now);
    let mut watch = engine
        .watch(BEFORE, "theirs", request, wakes.clone(), 0)
        .unwrap();
    let (mut own, woken) = follow(&sim, BEFORE, Some("theirs"));
    let (mut of_all, _) = follow(&sim, BEFORE, None);
    let mut others = [
        follow(&sim, OWNER, None).0,
        follow(&sim, OWNER, Some("theirs")).0,
        follow(&sim, READER, Some("theirs")).0,
        follow(&sim, AFTER, None).0,
    ];
    let (mut elsewhere, _) = follow(&sim, OWNER, Some(NS));
    assert!(watch.next().await.unwrap().is_none());
    assert!(own.next().await.unwrap().is_none());
    chown(engine, AFTER).await;
    assert_eq!(wakes.count(), 1, "an idle watch is told");
    assert_eq!(watch.next().await.unwrap_err().kind, ErrorKind::Permission);
    assert_eq!(woken.count(), 1);
    assert_eq!(own.check().unwrap_err().kind, ErrorKind::Permission);
    assert_eq!(own.next().await.unwrap_err().kind, ErrorKind::Permission);
    // To the same owner again: nothing is done and nothing reported.
    chown(engine, AFTER).await;
    commit(&sim, AFTER, "a", "2").await.unwrap();
    for follower in &mut others {
        let events = all(follower).await;
        assert!(tells(&events[0]), "{events:?}");
        assert!(matches!(events[1], RootEvent::Moved { .. }), "{events:?}");
        assert_eq!(events.len(), 2);
    }
    let events = all(&mut of_all).await;
    assert!(
        tells(&events[0]) && events.len() == 1,
        "its last: {events:?}"
    );
    assert_eq!(all(&mut elsewhere).await, []);
}

#[tokio::test(start_paused = true)]
async fn what_was_written_before_is_not_told_to_the_old_owner_after() {
    let sim = Sim::new().await;
    owned(&sim).await;
    let (mut slow, _) = follow(&sim, BEFORE, None);
    commit(&sim, BEFORE, "a", "2").await.unwrap();
    chown(&sim.engine, AFTER).await;
    let events = all(&mut slow).await;
    assert!(tells(&events[0]) && events.len() == 1, "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_repeated_commit_of_the_old_owner_gets_its_first_answer() {
    let sim = Sim::new().await;
    owned(&sim).await;
    let mut request = sim.request(vec![put("a", "2")]);
    (request.namespace, request.caller) = ("theirs".into(), BEFORE);
    let first = sim.engine.commit(request.clone()).await.unwrap();
    chown(&sim.engine, AFTER).await;
    request.repeat = Some(first.position);
    let again = sim.engine.commit(request.clone()).await.unwrap();
    assert_eq!((again.position, again.root), (first.position, first.root));
    request.id.number += 1000;
    let never = sim.engine.commit(request).await.unwrap_err();
    assert_eq!(never.kind, ErrorKind::Permission);
}

#[tokio::test(start_paused = true)]
async fn commits_are_judged_by_the_owner_at_their_place_in_the_order() {
    let sim = Sim::new().await;
    owned(&sim).await;
    let engine = &sim.engine;
    let early = commit(&sim, BEFORE, "early", "1");
    let chown = engine.chown_namespace(OWNER, "theirs", AFTER);
    let late = commit(&sim, BEFORE, "late", "1");
    let again = engine.chown_namespace(OWNER, "theirs", BEFORE);
    let (early, chown, late, again) = tokio::join!(early, chown, late, again);
    assert_eq!((early, late), (Ok(2), Err(ErrorKind::Permission)));
    chown.unwrap();
    again.unwrap();
    assert_eq!(commit(&sim, BEFORE, "a", "2").await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn the_owner_survives_restarts_and_power_cuts() {
    let disk = SimDisk::new();
    let sim = Sim::with(config(), disk.clone()).await;
    owned(&sim).await;
    chown(&sim.engine, AFTER).await;
    // Replayed from the journal, and then from the manifest.
    let mut replayed = Sim::with(config(), disk.images_after(usize::MAX, CrashVariant::Lost)).await;
    for _ in 0..2 {
        let engine = &replayed.engine;
        assert_eq!(readable(engine, AFTER).await, Ok(()));
        assert_eq!(readable(engine, READER).await, Ok(()));
        assert_eq!(readable(engine, BEFORE).await, Err(ErrorKind::Permission));
        replayed = replayed.restart().await;
    }
    assert_eq!(commit(&replayed, AFTER, "b", "1").await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_power_cut_leaves_either_owner() {
    let disk = SimDisk::new();
    let sim = Sim::with(config(), disk.clone()).await;
    owned(&sim).await;
    let from = disk.operations();
    chown(&sim.engine, AFTER).await;
    for cut in from..=disk.operations() {
        for variant in [CrashVariant::Lost, CrashVariant::Kept] {
            let sim = Sim::with(config(), disk.images_after(cut, variant)).await;
            let engine = &sim.engine;
            let (before, after) = (readable(engine, BEFORE).await, engine.namespaces(OWNER));
            let owner = after
                .iter()
                .find(|info| info.name == "theirs")
                .unwrap()
                .owner;
            let expected = if owner == AFTER {
                Err(ErrorKind::Permission)
            } else {
                assert_eq!(owner, BEFORE);
                Ok(())
            };
            assert_eq!(before, expected, "cut after operation {cut}");
        }
    }
}
