//! Rights: namespaces that are shared read-only, and what ends when a right is revoked.

use std::sync::Arc;

use kvs_engine::{
    Answers, At, CrashVariant, Engine, ErrorKind, Principal, SimDisk, Start, Token, WatchRequest,
};
use kvs_tree::Scope;

use crate::support::*;

const OWNING: Principal = Principal::Uid(4242);
const READER: Principal = Principal::Uid(4243);

/// Creates a namespace `theirs` of `OWNING` with a value, shared with `READER`.
async fn shared(sim: &Sim) {
    let engine = &sim.engine;
    engine
        .create_namespace(OWNER, "theirs", Some(OWNING))
        .await
        .unwrap();
    let mut request = sim.request(vec![put("a", "1")]);
    (request.namespace, request.caller) = ("theirs".into(), OWNING);
    engine.commit(request).await.unwrap();
    engine
        .share_namespace(OWNING, "theirs", READER, true)
        .await
        .unwrap();
}

async fn readable(engine: &Engine, caller: Principal) -> Result<(), ErrorKind> {
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

    // Conditions reveal content too, but only owners may commit.
    for operations in [vec![put("b", "2")], Vec::new()] {
        let mut request = sim.request(operations);
        (request.namespace, request.caller) = ("theirs".into(), READER);
        let refused = engine.commit(request).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Permission);
    }
    for refused in [
        engine
            .share_namespace(READER, "theirs", Principal::Uid(1), true)
            .await,
        engine
            .share_namespace(READER, "theirs", READER, false)
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
    assert_eq!(told(OWNING), Some(vec![READER]));
    assert_eq!(told(READER), Some(Vec::new()), "who else may is not told");
    assert_eq!(told(Principal::Uid(1)), None);
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
        .share_namespace(OWNING, "theirs", READER, false)
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
    let withdrawn = sim.engine.share_namespace(OWNING, "theirs", READER, false);
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
        .share_namespace(OWNER, "theirs", READER, false)
        .await
        .unwrap();
    let replayed = replayed.restart().await;
    let engine = &replayed.engine;
    assert_eq!(readable(engine, READER).await, Err(ErrorKind::Permission));
    engine
        .share_namespace(OWNER, "theirs", READER, true)
        .await
        .unwrap();
    engine.remove_namespace(OWNER, "theirs").await.unwrap();
    engine
        .create_namespace(OWNER, "theirs", Some(OWNING))
        .await
        .unwrap();
    assert_eq!(readable(engine, READER).await, Err(ErrorKind::Permission));
    let none = engine
        .share_namespace(OWNER, "nowhere", Principal::Uid(1), true)
        .await;
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
        let shared = engine
            .share_namespace(OWNING, "theirs", Principal::Uid(uid), true)
            .await;
        shared.unwrap();
    }
    let refused = engine
        .share_namespace(OWNING, "theirs", Principal::Uid(99_999), true)
        .await
        .unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Limit);
}

/// The error of each operation that names a namespace, for this caller.
async fn answers(sim: &Sim, caller: Principal, name: &str) -> Vec<(&'static str, ErrorKind)> {
    let engine = &sim.engine;
    let mut told = Vec::new();
    let mut note = |what, error: Option<kvs_engine::EngineError>| {
        let error = error.unwrap_or_else(|| panic!("{what} of {name} was done"));
        let message = error.message.replace(name, "NAME");
        assert!(!message.contains("exist"), "{what}: {message}");
        told.push((what, error.kind));
    };
    let wake = || Arc::new(Wakes::default());
    note("view", engine.view(caller, name, At::Current).await.err());
    note(
        "version",
        engine.view(caller, name, At::Version(1)).await.err(),
    );
    let root = engine.view(OWNER, "primary", At::Current).await.unwrap();
    note(
        "root",
        engine.view(caller, name, At::Root(root.root())).await.err(),
    );
    let mut snapshot = root.snapshot();
    snapshot.namespace = name.into();
    let at = At::Snapshot(snapshot.clone());
    note(
        "snapshot",
        engine.view(caller, "primary", at.clone()).await.err(),
    );
    note("pin", engine.pin(caller, snapshot, None).await.err());
    for start in [Start::Now, Start::Initial] {
        let request = WatchRequest::new(vec![Scope::parse("a").unwrap()], start);
        note(
            "watch",
            engine.watch(caller, name, request, wake(), 0).err(),
        );
        note(
            "follow",
            engine.follow(caller, Some(name), start, wake(), 0).err(),
        );
    }
    note(
        "wait",
        engine.wait_version(caller, name, 9, None).await.err(),
    );
    note(
        "wait",
        engine.wait_version(caller, name, 1, Some(7)).await.err(),
    );
    note("made", engine.wait_namespace(caller, name).await.err());
    note("log", engine.log(caller, name, 0, 9, &[], 9).await.err());
    for operations in [vec![put("b", "2")], Vec::new()] {
        let mut request = sim.request(operations);
        (request.namespace, request.caller) = (name.into(), caller);
        let refusal = kvs_engine::EngineError::new(ErrorKind::Invalid, "refused");
        let mut answers = Answers::default();
        engine.settle(request.clone(), refusal, &answers, Token::default());
        let (_, settled) = take(&mut answers).await.pop_front().unwrap();
        note("settle", settled.err());
        note("commit", engine.commit(request).await.err());
    }
    note(
        "share",
        engine
            .share_namespace(caller, name, Principal::Uid(1), true)
            .await
            .err(),
    );
    note(
        "unshare",
        engine
            .share_namespace(caller, name, Principal::Uid(1), false)
            .await
            .err(),
    );
    note(
        "chown",
        engine
            .chown_namespace(caller, name, Principal::Uid(1))
            .await
            .err(),
    );
    note("remove", engine.remove_namespace(caller, name).await.err());
    note(
        "create",
        engine.create_namespace(caller, name, None).await.err(),
    );
    note(
        "fork",
        engine.fork_namespace(caller, name, None, at).await.err(),
    );
    told
}

#[tokio::test(start_paused = true)]
async fn a_guest_does_not_learn_which_namespaces_exist() {
    let sim = Sim::new().await;
    shared(&sim).await;
    sim.commit(vec![put("a", "1")]).await;
    let stranger = Principal::Uid(4244);
    let there = answers(&sim, stranger, "theirs").await;
    let nowhere = answers(&sim, stranger, "nowhere").await;
    assert_eq!(there, nowhere);
    for (what, kind) in there {
        assert_eq!(kind, ErrorKind::Permission, "{what}");
    }
    assert_eq!(answers(&sim, stranger, "primary").await, nowhere);
    // A removed namespace of theirs is like one that never existed.
    sim.engine.remove_namespace(OWNER, "theirs").await.unwrap();
    assert_eq!(answers(&sim, OWNING, "theirs").await, nowhere);
    assert_eq!(answers(&sim, READER, "theirs").await, nowhere);
    // The instance owner gets the same error as before.
    let none = sim.engine.view(OWNER, "nowhere", At::Current).await;
    assert_eq!(none.err().unwrap().kind, ErrorKind::NoNamespace);
}

#[tokio::test(start_paused = true)]
async fn a_guest_does_not_learn_it_through_a_link_either() {
    let sim = Sim::new().await;
    shared(&sim).await;
    let engine = &sim.engine;
    for target in ["primary", "nowhere"] {
        let operation = kvs_tree::Operation::Link {
            key: key("way"),
            target: kvs_tree::Symlink {
                namespace: Some(target.into()),
                target: "a".into(),
            },
        };
        let mut request = sim.request(vec![operation]);
        (request.namespace, request.caller) = ("theirs".into(), OWNING);
        engine.commit(request).await.unwrap();
        for caller in [OWNING, READER] {
            let view = engine.view(caller, "theirs", At::Current).await.unwrap();
            let refused = view.lookup(&key("way"), true).await.err().unwrap();
            assert_eq!(refused.kind, ErrorKind::Permission, "{target}");
            for start in [Start::Now, Start::Initial] {
                let request = WatchRequest::new(vec![Scope::parse("way").unwrap()], start);
                let wakes = Arc::new(Wakes::default());
                let mut watch = engine.watch(caller, "theirs", request, wakes, 0).unwrap();
                let refused = watch.next().await.unwrap_err();
                assert_eq!(refused.kind, ErrorKind::Permission, "{target}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pin_of_others_is_not_there_for_who_may_not_read_what_it_keeps() {
    let sim = Sim::new().await;
    shared(&sim).await;
    let engine = &sim.engine;
    let view = engine.view(OWNER, "primary", At::Current).await.unwrap();
    let pin = engine.pin(OWNER, view.snapshot(), None).await.unwrap();
    for id in [pin.id, pin.id + 1000] {
        let refused = engine.unpin(OWNING, id).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::NotFound);
        assert_eq!(refused.message, format!("there is no pin {id}"));
    }
    let view = engine.view(OWNING, "theirs", At::Current).await.unwrap();
    let pin = engine.pin(OWNING, view.snapshot(), None).await.unwrap();
    let refused = engine.unpin(READER, pin.id).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Permission);
}

/// Lets tasks run as far as they can without the journal.
async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn pins_in_flight_count_for_who_makes_them() {
    let sim = Sim::new().await;
    shared(&sim).await;
    let engine = &sim.engine;
    let most = kvs_engine::limits::GUEST_PINS;
    let view = engine.view(READER, "theirs", At::Current).await.unwrap();
    let pin = |caller, snapshot| {
        let engine = engine.clone();
        tokio::spawn(async move { engine.pin(caller, snapshot, None).await })
    };
    let mut pins = Vec::new();
    // Pins of the owner and of another guest do not count against the reader.
    for caller in [OWNER, OWNING] {
        pins.extend((0..most).map(|_| pin(caller, view.snapshot())));
    }
    pins.extend((0..most).map(|_| pin(READER, view.snapshot())));
    settle().await;
    for pin in pins {
        pin.await.unwrap().unwrap();
    }
    let more: Vec<_> = (0..3).map(|_| pin(READER, view.snapshot())).collect();
    for pin in more {
        assert_eq!(pin.await.unwrap().unwrap_err().kind, ErrorKind::Limit);
    }
}

#[tokio::test(start_paused = true)]
async fn readers_in_flight_count() {
    let sim = Sim::new().await;
    shared(&sim).await;
    let most = kvs_engine::limits::READERS as u32;
    let share = |uid, may_read| {
        let engine = sim.engine.clone();
        tokio::spawn(async move {
            engine
                .share_namespace(OWNING, "theirs", Principal::Uid(uid), may_read)
                .await
        })
    };
    // One of the places is the reader's.
    let shares: Vec<_> = (0..most + 7).map(|uid| share(uid, true)).collect();
    let mut refused = 0;
    for share in shares {
        match share.await.unwrap() {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Limit);
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 8);
    let told = sim.engine.namespaces(OWNING);
    let theirs = told.iter().find(|info| info.name == "theirs").unwrap();
    assert_eq!(theirs.readers.len(), most as usize);
    // A reader can be granted the right again, and a place that was freed can be taken.
    share(0, true).await.unwrap().unwrap();
    share(0, false).await.unwrap().unwrap();
    share(most + 1, true).await.unwrap().unwrap();
    let full = share(most + 2, true).await.unwrap().unwrap_err();
    assert_eq!(full.kind, ErrorKind::Limit);
}

#[tokio::test(start_paused = true)]
async fn sharing_stands_in_the_journal_behind_what_was_committed_before() {
    let disk = SimDisk::new();
    let sim = Sim::with(config(), disk.clone()).await;
    shared(&sim).await;
    // All in one group: the record of the right must not precede the version.
    let mut request = sim.request(vec![put("a", "before")]);
    (request.namespace, request.caller) = ("theirs".into(), OWNING);
    let before = sim.engine.submit(request);
    let engine = sim.engine.clone();
    let share = tokio::spawn(async move {
        engine
            .share_namespace(OWNING, "theirs", Principal::Uid(77), true)
            .await
    });
    settle().await;
    let mut request = sim.request(vec![put("b", "behind")]);
    (request.namespace, request.caller) = ("theirs".into(), OWNING);
    let behind = sim.engine.submit(request);
    let (before, behind) = (before.await.unwrap(), behind.await.unwrap());
    share.await.unwrap().unwrap();
    assert!(before.position.version < behind.position.version);
    let sim = sim.restart().await;
    let reader = Principal::Uid(77);
    let view = sim
        .engine
        .view(reader, "theirs", At::Current)
        .await
        .unwrap();
    assert_eq!(read(&view, "a").await.unwrap(), "before");
    assert_eq!(read(&view, "b").await.unwrap(), "behind");
}

#[tokio::test(start_paused = true)]
async fn a_guest_has_so_many_waits_and_followers_and_no_more() {
    use kvs_engine::limits::{GUEST_FOLLOWERS, GUEST_VERSION_WAITERS};

    let sim = Sim::new().await;
    shared(&sim).await;
    let wait = |caller| {
        let engine = sim.engine.clone();
        tokio::spawn(async move { engine.wait_version(caller, "theirs", 9, None).await })
    };
    let waits: Vec<_> = (0..GUEST_VERSION_WAITERS).map(|_| wait(READER)).collect();
    settle().await;
    let refused = wait(READER).await.unwrap().unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Limit);
    // Other users have limits of their own.
    let others = [wait(OWNING), wait(OWNER)];
    settle().await;
    assert!(others.iter().all(|wait| !wait.is_finished()));
    // Cancelled waits make room.
    waits.iter().for_each(|wait| wait.abort());
    settle().await;
    let again = wait(READER);
    settle().await;
    assert!(!again.is_finished());

    let wakes = || Arc::new(Wakes::default());
    let follow = |caller| sim.engine.follow(caller, None, Start::Now, wakes(), 0);
    let mut followers: Vec<_> = (0..GUEST_FOLLOWERS)
        .map(|_| follow(READER).unwrap())
        .collect();
    assert_eq!(follow(READER).err().unwrap().kind, ErrorKind::Limit);
    drop((follow(OWNING).unwrap(), follow(OWNER).unwrap()));
    followers.pop();
    follow(READER).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_guests_transaction_is_small_enough_not_to_hold_others_up() {
    use kvs_engine::limits::GUEST_TRANSACTION_NAMES;

    let sim = Sim::new().await;
    shared(&sim).await;
    let deep = ["d"; 64].join(".");
    let puts = |count: usize| {
        let keys = std::iter::repeat_n(put(&deep, "v"), count);
        keys.collect::<Vec<_>>()
    };
    let commit = async |caller, name: &str, operations| {
        let mut request = sim.request(operations);
        (request.namespace, request.caller) = (name.into(), caller);
        sim.engine.commit(request).await.map_err(|error| error.kind)
    };
    let most = GUEST_TRANSACTION_NAMES / 64;
    commit(OWNING, "theirs", puts(most)).await.unwrap();
    let mut more = puts(most);
    more.push(unlink("d"));
    let before = sim.engine.view(OWNER, "theirs", At::Current).await.unwrap();
    let refused = commit(OWNING, "theirs", more.clone()).await;
    assert_eq!(refused.unwrap_err(), ErrorKind::Limit);
    let after = sim.engine.view(OWNER, "theirs", At::Current).await.unwrap();
    assert_eq!(before.root(), after.root());
    // A caller without the right learns nothing else.
    let refused = commit(READER, "theirs", more.clone()).await;
    assert_eq!(refused.unwrap_err(), ErrorKind::Permission);
    commit(OWNER, NS, more).await.unwrap();
}
