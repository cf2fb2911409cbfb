//! Watches whose links lead into other namespaces: the current content is delivered, none of it is
//! lost, and none is shown to a reader without the right.

use std::sync::Arc;

use kvs_engine::{
    ChangeKind, ErrorKind, Mode, Position, Principal, Start, Watch, WatchEvent, WatchRequest,
};
use kvs_tree::{Operation, Scope, Symlink};

use crate::support::*;

const GUEST: Principal = Principal::Uid(4242);

fn link(at: &str, namespace: &str, target: &str) -> Operation {
    Operation::Link {
        key: key(at),
        target: Symlink {
            namespace: Some(namespace.into()),
            target: target.into(),
        },
    }
}

async fn commit_in(sim: &Sim, namespace: &str, operations: Vec<Operation>) {
    let mut request = sim.request(operations);
    request.namespace = namespace.into();
    sim.engine.commit(request).await.unwrap();
}

/// Creates a namespace `job`, to which `l` in primary leads.
async fn linked() -> Sim {
    let sim = Sim::new().await;
    let engine = &sim.engine;
    engine.create_namespace(OWNER, "job", None).await.unwrap();
    sim.commit(vec![link("l", "job", "a")]).await;
    sim
}

async fn at(version: u64, sim: &Sim) -> Start {
    let Position { incarnation, .. } = sim.position().await;
    Start::Version {
        incarnation: Some(incarnation),
        version,
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_told_again_after_a_resume_at_the_newest_version() {
    let sim = linked().await;
    commit_in(&sim, "job", vec![put("a", "1")]).await;
    let mut watch = sim.watch(&["l"], Start::Initial);
    assert_eq!(changes(&mut watch).await, ["put l=1"]);
    drop(watch);
    commit_in(&sim, "job", vec![put("a", "2")]).await;
    let mut watch = sim.watch(&["l"], at(2, &sim).await);
    assert_eq!(changes(&mut watch).await, ["put l=2"]);
}

#[tokio::test(start_paused = true)]
async fn that_nothing_is_there_any_more_is_told_after_a_resume() {
    let sim = linked().await;
    commit_in(&sim, "job", vec![put("a.x", "1")]).await;
    sim.engine.remove_namespace(OWNER, "job").await.unwrap();
    let mut watch = sim.watch(&["l"], at(2, &sim).await);
    assert_eq!(changes(&mut watch).await, ["unlink l"]);
    assert!(changes(&mut watch).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_told_before_the_versions_that_rest_on_it() {
    let sim = linked().await;
    commit_in(&sim, "job", vec![put("a.x", "1"), put("a.y", "2")]).await;
    sim.commit(vec![unlink("l"), put("l.y", "3")]).await;
    let mut watch = sim.watch(&["l"], at(2, &sim).await);
    let mut told = Vec::new();
    for event in drain(&mut watch).await {
        let WatchEvent::Changes {
            position, behind, ..
        } = &event
        else {
            panic!("{event:?}")
        };
        told.push((
            position.version,
            behind.is_some(),
            crate::support::told(&event),
        ));
    }
    let whole = ["mkdir l", "put l.x=1", "put l.y=2"].map(String::from);
    let turned = ["unlink l.x", "put l.y=3"].map(String::from);
    assert_eq!(told, [(1, true, whole.into()), (2, false, turned.into())]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_now_misses_nothing_between_its_opening_and_its_first_look() {
    let sim = linked().await;
    commit_in(&sim, "job", vec![put("a", "1")]).await;
    let mut quiet = sim.watch(&["l"], Start::Now);
    assert!(changes(&mut quiet).await.is_empty());
    let mut watch = sim.watch(&["l"], Start::Now);
    commit_in(&sim, "job", vec![put("a", "2")]).await;
    assert_eq!(changes(&mut watch).await, ["put l=2"]);
    let mut watch = sim.watch(&["l"], Start::Now);
    sim.engine.remove_namespace(OWNER, "job").await.unwrap();
    assert_eq!(changes(&mut watch).await, ["unlink l"]);
}

#[tokio::test(start_paused = true)]
async fn another_link_that_moves_takes_nothing_of_what_is_there_away() {
    let sim = linked().await;
    sim.put("here", "h").await;
    for mode in [Mode::Every, Mode::Latest] {
        let mut request = WatchRequest::new(
            ["l", "m"].map(|s| Scope::parse(s).unwrap()).into(),
            Start::Now,
        );
        request.mode = mode;
        let mut watch = sim.watch_as(request);
        assert!(changes(&mut watch).await.is_empty());
        commit_in(&sim, "job", vec![put("a", "1")]).await;
        let here = Symlink {
            namespace: None,
            target: "here".into(),
        };
        let (key, target) = (key("m"), here);
        sim.commit(vec![Operation::Link { key, target }]).await;
        assert_eq!(
            changes(&mut watch).await,
            ["put m=h", "put l=1"],
            "{mode:?}"
        );
        sim.commit(vec![unlink("m")]).await;
        commit_in(&sim, "job", vec![unlink("a")]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_of_another_namespace_bears_root_and_position_of_one_version() {
    let sim = linked().await;
    let mut watch = sim.watch(&["l"], Start::Now);
    assert!(drain(&mut watch).await.is_empty());
    let other = sim.put("x", "1").await;
    commit_in(&sim, "job", vec![put("a", "1")]).await;
    let event = one(&mut watch).await;
    let WatchEvent::Changes { position, root, .. } = event else {
        panic!("{event:?}")
    };
    assert_eq!((position, root), (other.position, other.root));
}

#[tokio::test(start_paused = true)]
async fn in_append_mode_what_is_there_is_a_replacement_after_a_resume() {
    let sim = linked().await;
    commit_in(&sim, "job", vec![put("a", "another value")]).await;
    let start = at(2, &sim).await;
    let mut request = WatchRequest::new(vec![Scope::parse("l").unwrap()], start);
    // The client has three bytes of a value that was replaced since.
    request.mode = Mode::Append { offset: 3 };
    let WatchEvent::Changes { changes, .. } = one(&mut sim.watch_as(request)).await else {
        panic!()
    };
    assert_eq!(changes[0].offset, Some(0));
    assert_eq!(changes[0].kind, kvs_engine::ChangeKind::Put);
}

#[tokio::test(start_paused = true)]
async fn in_append_mode_what_grew_in_another_namespace_is_told_as_bytes_and_what_was_replaced_as_a_whole()
 {
    let sim = linked().await;
    let append = |value: &str| Operation::Append {
        key: key("a"),
        value: value.to_owned().into(),
    };
    commit_in(&sim, "job", vec![put("a", "one ")]).await;
    let mut request = WatchRequest::new(vec![Scope::parse("l").unwrap()], Start::Now);
    request.mode = Mode::Append { offset: 4 };
    let mut watch = sim.watch_as(request);
    assert!(drain(&mut watch).await.is_empty());
    let long = "y".repeat(200_000);
    let mut offset = 4;
    for more in ["two ", &long, "three"] {
        commit_in(&sim, "job", vec![append(more)]).await;
        for event in drain(&mut watch).await {
            let WatchEvent::Changes {
                changes, behind, ..
            } = event
            else {
                panic!("{event:?}")
            };
            assert!(behind.is_some());
            for change in changes {
                assert_eq!(
                    (change.kind, change.offset),
                    (ChangeKind::Append, Some(offset))
                );
                offset += change.appended.unwrap().len() as u64;
            }
        }
    }
    assert_eq!(offset, 4 + 4 + 200_000 + 5);
    // Longer but different; shorter; gone; back again.
    let other = "z".repeat(300_000);
    for (operation, told) in [
        (put("a", other), "put l (300000 bytes)"),
        (put("a", "short"), "put l=short"),
        (unlink("a"), "unlink l"),
        (append("anew"), "put l=anew"),
    ] {
        commit_in(&sim, "job", vec![operation]).await;
        assert_eq!(changes(&mut watch).await, [told]);
    }
}

/// A watch of a guest who may read primary, and the sink that it wakes.
fn guest(sim: &Sim, start: Start) -> (Watch, Arc<Wakes>) {
    let wakes = Arc::new(Wakes::default());
    let request = WatchRequest::new(vec![Scope::parse("l").unwrap()], start);
    let watch = sim.engine.watch(GUEST, NS, request, wakes.clone(), 0);
    (watch.unwrap(), wakes)
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_withdrawn_there_ends_the_watch_idle_or_between_two_parts() {
    let sim = linked().await;
    let engine = &sim.engine;
    let many = (0..1_500).map(|n| put(&format!("a.k{n:04}"), "v"));
    commit_in(&sim, "job", many.collect()).await;
    let share = |name: &'static str, may| engine.share_namespace(OWNER, name, GUEST, may);
    share(NS, true).await.unwrap();
    share("job", true).await.unwrap();
    let (mut idle, wakes) = guest(&sim, Start::Now);
    assert!(drain(&mut idle).await.is_empty());
    let (mut telling, _) = guest(&sim, Start::Initial);
    let first = one(&mut telling).await;
    assert!(matches!(first, WatchEvent::Initial { last: false, .. }));
    share("job", false).await.unwrap();
    assert_eq!(wakes.count(), 1);
    for watch in [&mut idle, &mut telling] {
        assert_eq!(watch.check().unwrap_err().kind, ErrorKind::Permission);
        assert_eq!(watch.next().await.unwrap_err().kind, ErrorKind::Permission);
    }
}

#[tokio::test(start_paused = true)]
async fn before_a_gap_after_a_resume_all_that_is_there_is_told() {
    let mut small = config();
    small.segment_bytes = Some(8 * 1024);
    small.checkpoint_bytes = 8 * 1024;
    small.retention.bytes = 256 * 1024;
    let sim = Sim::with(small, kvs_engine::SimDisk::unrecorded()).await;
    let engine = sim.engine.clone();
    engine.create_namespace(OWNER, "job", None).await.unwrap();
    sim.commit(vec![link("l", "job", "a")]).await;
    commit_in(&sim, "job", vec![put("a.x", "1")]).await;
    // The state at version 1 stays readable; the versions after it do not.
    let view = engine.view(OWNER, NS, kvs_engine::At::Version(1)).await;
    engine
        .pin(OWNER, view.unwrap().snapshot(), None)
        .await
        .unwrap();
    for n in 0..1_000_u64 {
        sim.put("n", vec![b'a' + (n % 26) as u8; 1_000]).await;
    }
    let sim = sim.restart().await;
    commit_in(&sim, "job", vec![unlink("a"), put("a.y", "2")]).await;
    let mut watch = sim.watch(&["l"], at(2, &sim).await);
    // Differences against the state at version 1 follow, so what belongs to that state is delivered
    // first.
    let events = drain(&mut watch).await;
    assert_eq!(told(&events[0]), ["mkdir l", "put l.y=2"]);
    assert!(matches!(events[1], WatchEvent::Gap { .. }), "{events:?}");
    let WatchEvent::Initial { differences, .. } = &events[2] else {
        panic!("{events:?}")
    };
    assert!(differences);
    assert!(told(&events[2]).is_empty());
}
