//! Watches and links: followed on the path to a watched key, reported as links within a pattern.

use kvs_engine::{ChangeValue, ErrorKind, Mode, Start, WatchEvent, WatchRequest};
use kvs_tree::{Operation, Scope, Symlink};

use crate::support::*;

fn link(at: &str, target: &str) -> Operation {
    let (namespace, target) = match target.split_once("::") {
        Some((namespace, target)) => (Some(namespace.into()), target),
        None => (None, target),
    };
    Operation::Link {
        key: key(at),
        target: Symlink {
            namespace,
            target: target.into(),
        },
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_behind_a_link_is_told_under_the_key_that_was_asked_for() {
    let sim = Sim::new().await;
    sim.commit(vec![put("t.x", "1"), link("l", "t")]).await;
    let mut one_key = sim.watch(&["l.x"], Start::Now);
    let mut initial = sim.watch(&["l"], Start::Initial);
    let mut glob = sim.watch(&["l.*", "l"], Start::Now);
    assert_eq!(changes(&mut initial).await, ["mkdir l", "put l.x=1"]);
    sim.put("t.x", "2").await;
    sim.put("t.y", "3").await;
    assert_eq!(changes(&mut one_key).await, ["put l.x=2"]);
    assert_eq!(changes(&mut initial).await, ["put l.x=2", "put l.y=3"]);
    assert_eq!(changes(&mut glob).await, ["put l.x=2", "put l.y=3"]);
    sim.commit(vec![unlink("t")]).await;
    assert_eq!(changes(&mut one_key).await, ["unlink l.x"]);
    assert_eq!(
        changes(&mut initial).await,
        ["unlink l", "unlink l.x", "unlink l.y"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_pointed_elsewhere_fires_and_the_new_way_is_followed() {
    let sim = Sim::new().await;
    sim.commit(vec![put("one.x", "1"), put("two.x", "2"), link("l", "one")])
        .await;
    let mut watch = sim.watch(&["l.x"], Start::Now);
    assert!(drain(&mut watch).await.is_empty());
    sim.commit(vec![unlink("l"), link("l", "two")]).await;
    sim.put("one.x", "not told any more").await;
    sim.put("two.x", "3").await;
    sim.commit(vec![unlink("l")]).await;
    sim.put("two.x", "neither").await;
    sim.commit(vec![link("m", "one"), link("l", "m")]).await;
    sim.put("one.x", "4").await;
    sim.commit(vec![unlink("m"), link("m", "two")]).await;
    assert_eq!(
        changes(&mut watch).await,
        [
            "put l.x=2",
            "put l.x=3",
            "unlink l.x",
            "put l.x=not told any more",
            "put l.x=4",
            "put l.x=neither",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn each_step_is_told_at_once_as_it_is_when_read_late() {
    let sim = Sim::new().await;
    sim.commit(vec![put("a.x", "0"), put("b.x", "1")]).await;
    let from = Start::Version {
        incarnation: None,
        version: 2,
    };
    let mut prompt = sim.watch(&["l.x", "m"], Start::Now);
    let mut told = Vec::new();
    let mut random = Random(11);
    for round in 0..60 {
        let operations = match random.below(6) {
            0 => vec![unlink("l"), link("l", "a")],
            1 => vec![unlink("l"), link("l", "b")],
            2 => vec![unlink("m"), link("m", "l.x")],
            3 => vec![
                unlink("l"),
                Operation::Copy {
                    from: key("a"),
                    to: key("l"),
                },
            ],
            4 => vec![put("a.x", round.to_string())],
            _ => vec![put("b.x", round.to_string())],
        };
        // Some are refused (unlinking a link that does not exist): they change nothing.
        let _ = sim.engine.commit(sim.request(operations)).await;
        told.extend(changes(&mut prompt).await);
    }
    let mut late = sim.watch(&["l.x", "m"], from);
    assert_eq!(changes(&mut late).await, told);
    assert!(told.iter().any(|one| one.starts_with("put m=")));
}

#[tokio::test(start_paused = true)]
async fn a_link_that_comes_later_is_followed_then() {
    let sim = Sim::new().await;
    sim.put("t.x", "1").await;
    let mut watch = sim.watch(&["a.l.x"], Start::Now);
    let mut subtree = sim.watch(&["c.l.x"], Start::Now);
    assert!(drain(&mut watch).await.is_empty());
    assert!(drain(&mut subtree).await.is_empty());
    sim.commit(vec![link("a.l", "t")]).await;
    assert_eq!(changes(&mut watch).await, ["put a.l.x=1"]);
    // A whole directory with a link in it arrives.
    let copy = Operation::Copy {
        from: key("a"),
        to: key("c"),
    };
    sim.commit(vec![copy]).await;
    sim.put("t.x", "2").await;
    assert_eq!(changes(&mut subtree).await, ["put c.l.x=1", "put c.l.x=2"]);
    assert_eq!(changes(&mut watch).await, ["put a.l.x=2"]);
}

#[tokio::test(start_paused = true)]
async fn patterns_tell_links_and_do_not_follow_them() {
    let sim = Sim::new().await;
    sim.put("t.x", "1").await;
    let mut watch = sim.watch(&["a.*"], Start::Now);
    sim.commit(vec![link("a.l", "t")]).await;
    sim.put("t.x", "2").await;
    assert_eq!(changes(&mut watch).await, ["link a.l->t"]);
}

#[tokio::test(start_paused = true)]
async fn a_loop_is_no_end() {
    let sim = Sim::new().await;
    sim.commit(vec![link("a", "b"), link("b", "a")]).await;
    let mut watch = sim.watch(&["a"], Start::Now);
    assert!(drain(&mut watch).await.is_empty());
    sim.commit(vec![unlink("b"), put("b", "1")]).await;
    assert_eq!(changes(&mut watch).await, ["put a=1"]);
}

#[tokio::test(start_paused = true)]
async fn a_loop_elsewhere_in_the_tree_ends_no_watch_of_a_pattern() {
    let sim = Sim::new().await;
    sim.commit(vec![link("a", "b.y"), link("b", "a")]).await;
    let mut request = WatchRequest::new(vec![Scope::parse("a.**").unwrap()], Start::Now);
    request.previous = true;
    let mut watch = sim.watch_as(request);
    sim.commit(vec![unlink("a"), put("a.x", "1")]).await;
    let event = one(&mut watch).await;
    assert_eq!(told(&event), ["mkdir a", "put a.x=1"]);
    let WatchEvent::Changes { changes, .. } = event else {
        panic!()
    };
    assert_eq!(changes[1].previous, Some(ChangeValue::None));
}

#[tokio::test(start_paused = true)]
async fn a_pattern_below_a_link_holds_nothing_and_lists_nothing() {
    let sim = Sim::new().await;
    sim.commit(vec![put("t.x.y", "1"), link("l", "t")]).await;
    let mut watch = sim.watch(&["l.x.*"], Start::Initial);
    assert!(changes(&mut watch).await.is_empty());
    sim.commit(vec![unlink("l"), put("l.x.y", "2")]).await;
    assert_eq!(changes(&mut watch).await, ["put l.x.y=2"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_several_scopes_see_is_told_once() {
    let sim = Sim::new().await;
    sim.commit(vec![put("t.x.y", "1"), link("l", "t")]).await;
    let mut watch = sim.watch(&["l", "l.x"], Start::Now);
    sim.put("t.x.y", "2").await;
    assert_eq!(changes(&mut watch).await, ["put l.x.y=2"]);
    sim.commit(vec![unlink("l")]).await;
    assert_eq!(
        changes(&mut watch).await,
        ["unlink l", "unlink l.x", "unlink l.x.y"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_listing_tells_nothing_of_what_was_before_links_or_not() {
    let sim = Sim::new().await;
    sim.commit(vec![put("t", "1"), link("l", "t")]).await;
    let scopes = ["l", "t"].map(|s| Scope::parse(s).unwrap());
    let mut request = WatchRequest::new(scopes.into(), Start::Initial);
    request.previous = true;
    let event = one(&mut sim.watch_as(request)).await;
    let WatchEvent::Initial { entries, .. } = event else {
        panic!()
    };
    assert!(entries.iter().all(|one| one.previous.is_none()));
    assert_eq!(entries.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn latest_follows_a_link_that_moves_among_the_versions_it_sums_up() {
    let sim = Sim::new().await;
    sim.commit(vec![put("one", "1"), put("two", "2"), link("l", "one")])
        .await;
    let mut request = WatchRequest::new(vec![Scope::parse("l").unwrap()], Start::Now);
    request.mode = Mode::Latest;
    let mut watch = sim.watch_as(request);
    assert!(drain(&mut watch).await.is_empty());
    sim.put("one", "11").await;
    sim.commit(vec![unlink("l"), link("l", "two")]).await;
    sim.put("one", "not told").await;
    sim.put("two", "22").await;
    sim.put("else", "").await;
    let event = one(&mut watch).await;
    assert_eq!(told(&event), ["put l=22"]);
    let WatchEvent::Changes {
        position, skipped, ..
    } = event
    else {
        panic!()
    };
    assert_eq!((position.version, skipped), (5, 2));
    assert!(drain(&mut watch).await.is_empty());
    assert_eq!(watch.position().version, 6);
}

async fn put_in(sim: &Sim, namespace: &str, at: &str, value: &str) {
    let mut request = sim.request(vec![put(at, value.to_owned())]);
    request.namespace = namespace.into();
    sim.engine.commit(request).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn behind_a_link_into_another_namespace_the_newest_state_is_told() {
    let sim = Sim::new().await;
    let engine = sim.engine.clone();
    sim.commit(vec![link("l", "job::state")]).await;
    let mut watch = sim.watch(&["l"], Start::Now);
    assert!(drain(&mut watch).await.is_empty());
    engine.create_namespace(OWNER, "job", None).await.unwrap();
    put_in(&sim, "job", "state", "1").await;
    put_in(&sim, "job", "state", "2").await;
    let WatchEvent::Changes {
        position,
        behind: Some(behind),
        changes: told,
        ..
    } = one(&mut watch).await
    else {
        panic!()
    };
    assert_eq!((position.version, behind.position.version), (1, 2));
    assert_eq!((&*behind.namespace, told[0].key.as_str()), ("job", "l"));
    put_in(&sim, "job", "other", "x").await;
    assert!(drain(&mut watch).await.is_empty());
    put_in(&sim, "job", "state", "3").await;
    assert_eq!(changes(&mut watch).await, ["put l=3"]);
    engine.remove_namespace(OWNER, "job").await.unwrap();
    assert_eq!(changes(&mut watch).await, ["unlink l"]);
    engine.create_namespace(OWNER, "job", None).await.unwrap();
    put_in(&sim, "job", "state", "again").await;
    assert_eq!(changes(&mut watch).await, ["put l=again"]);
    sim.commit(vec![unlink("l"), put("l", "here")]).await;
    put_in(&sim, "job", "state", "not told").await;
    assert_eq!(changes(&mut watch).await, ["put l=here"]);
}

#[tokio::test(start_paused = true)]
async fn a_link_into_a_namespace_that_may_not_be_read_ends_the_watch() {
    let sim = Sim::new().await;
    let other = kvs_engine::Principal::Uid(77);
    sim.engine
        .create_namespace(OWNER, "theirs", Some(kvs_engine::Principal::Uid(77)))
        .await
        .unwrap();
    let mut request = sim.request(vec![link("l", "primary::secret")]);
    (request.namespace, request.caller) = ("theirs".into(), other);
    let scopes = vec![kvs_tree::Scope::parse("l").unwrap()];
    let wanted = kvs_engine::WatchRequest::new(scopes, Start::Now);
    let sink = std::sync::Arc::new(Wakes::default());
    let mut watch = sim.engine.watch(other, "theirs", wanted, sink, 0).unwrap();
    assert!(watch.next().await.unwrap().is_none());
    sim.engine.commit(request).await.unwrap();
    let error = watch.next().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Permission);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_several_scopes_see_is_told_once_however_many_parts_it_takes() {
    let sim = Sim::new().await;
    let many = (0..2_500).map(|n| put(&format!("t.d.k{n:04}"), "1"));
    sim.commit(many.collect()).await;
    sim.commit(vec![link("l", "nowhere")]).await;
    for start in [Start::Now, Start::Initial] {
        let scopes = &["l.d", "l", "l.d.k0007"];
        let mut watch = sim.watch(scopes, start);
        let before = drain(&mut watch).await;
        if start == Start::Now {
            sim.commit(vec![unlink("l"), link("l", "t")]).await;
        }
        let events = [before, drain(&mut watch).await].concat();
        assert!(events.len() > 2, "it takes several parts");
        let mut all: Vec<String> = events.iter().flat_map(told).collect();
        all.sort();
        let every = (0..2_500).map(|n| format!("put l.d.k{n:04}=1"));
        let tops = ["mkdir l", "mkdir l.d"].map(String::from);
        assert_eq!(all, tops.into_iter().chain(every).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn what_grew_by_much_is_told_in_pieces_also_beside_a_copy() {
    let sim = Sim::new().await;
    sim.commit(vec![put("d.log", "begin"), put("s.x", "1")])
        .await;
    let mut request = WatchRequest::new(vec![Scope::parse("d").unwrap()], Start::Now);
    request.mode = Mode::Append { offset: 0 };
    let mut watch = sim.watch_as(request);
    let grow = Operation::Append {
        key: key("d.log"),
        value: vec![b'+'; 150_000].into(),
    };
    let copy = Operation::Copy {
        from: key("s"),
        to: key("d.s"),
    };
    sim.commit(vec![grow, copy]).await;
    let mut offsets = Vec::new();
    for event in drain(&mut watch).await {
        let WatchEvent::Changes { changes, .. } = event else {
            panic!()
        };
        let log = changes.iter().filter(|one| one.key == key("d.log"));
        offsets.extend(log.map(|one| (one.kind, one.offset.unwrap())));
    }
    let appended = |offset| (kvs_engine::ChangeKind::Append, offset);
    assert_eq!(offsets, [5, 65_541, 131_077].map(appended));
}

#[tokio::test(start_paused = true)]
async fn a_link_into_a_loop_is_nothing_and_one_loop_for_another_is_no_change() {
    let sim = Sim::new().await;
    sim.put("b.y", "1").await;
    for mode in [Mode::Every, Mode::Latest] {
        let mut request = WatchRequest::new(vec![Scope::parse("b.y").unwrap()], Start::Now);
        request.mode = mode;
        let mut watch = sim.watch_as(request);
        assert!(drain(&mut watch).await.is_empty());
        let looped = sim.commit(vec![unlink("b"), link("b", "b")]).await;
        sim.commit(vec![unlink("b"), link("b.y", "b.y")]).await;
        let event = one(&mut watch).await;
        assert_eq!(told(&event), ["unlink b.y"], "{mode:?}");
        let WatchEvent::Changes { position, .. } = event else {
            panic!()
        };
        assert_eq!(position, looped.position);
        assert!(drain(&mut watch).await.is_empty());
        sim.commit(vec![unlink("b"), put("b.y", "1")]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_a_loop_for_one_scope_is_listed_by_another() {
    let sim = Sim::new().await;
    sim.commit(vec![link("c.y", "c.y")]).await;
    let mut watch = sim.watch(&["c.y", "c.*"], Start::Initial);
    assert_eq!(changes(&mut watch).await, ["link c.y->c.y"]);
}
