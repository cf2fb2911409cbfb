//! Watches: every version that touched the scope, in order, with its values.

use std::sync::Arc;

use kvs_engine::{ErrorKind, Start, WatchEvent, WatchRequest};
use kvs_tree::{Operation, Scope, Symlink};

use crate::support::*;

fn copy(from: &str, to: &str) -> Operation {
    Operation::Copy {
        from: key(from),
        to: key(to),
    }
}

fn append(at: &str, value: &'static str) -> Operation {
    Operation::Append {
        key: key(at),
        value: value.into(),
    }
}

#[tokio::test(start_paused = true)]
async fn scopes_select_what_is_told() {
    let sim = Sim::new().await;
    let mut job = sim.watch(&["lwj.1"], Start::Now);
    let mut states = sim.watch(&["lwj.*.state"], Start::Now);
    let mut all = sim.watch(&["."], Start::Now);
    let scopes = vec![Scope::Key(key("lwj"))];
    let mut exact = sim
        .engine
        .watch(
            OWNER,
            NS,
            WatchRequest::new(scopes, Start::Now),
            Arc::new(Wakes::default()),
            0,
        )
        .unwrap();
    sim.put("lwj.1.state", "run").await;
    sim.put("lwj.1.rank", "0").await;
    sim.put("lwj.22.state", "wait").await;
    sim.put("other", "x").await;
    let tree = ["mkdir lwj", "mkdir lwj.1", "put lwj.1.state=run"];
    assert_eq!(
        changes(&mut all).await,
        [
            &tree[..],
            &[
                "put lwj.1.rank=0",
                "mkdir lwj.22",
                "put lwj.22.state=wait",
                "put other=x"
            ]
        ]
        .concat()
    );
    assert_eq!(
        changes(&mut job).await,
        ["mkdir lwj.1", "put lwj.1.state=run", "put lwj.1.rank=0"]
    );
    assert_eq!(
        changes(&mut states).await,
        ["put lwj.1.state=run", "put lwj.22.state=wait"]
    );
    assert_eq!(changes(&mut exact).await, ["mkdir lwj"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_tells_version_root_and_who() {
    let sim = Sim::new().await;
    let mut watch = sim.watch(&["a"], Start::Now);
    let mut request = sim.request(vec![put("a", "1")]);
    request.name = Some("first".into());
    let id = request.id;
    let committed = sim.engine.commit(request).await.unwrap();
    let WatchEvent::Changes {
        position,
        root,
        transactions,
        last,
        ..
    } = one(&mut watch).await
    else {
        panic!()
    };
    assert_eq!(
        (position, root, last),
        (committed.position, committed.root, true)
    );
    let [transaction] = &transactions[..] else {
        panic!()
    };
    assert_eq!(
        (transaction.principal, transaction.client),
        (OWNER, id.client)
    );
    assert_eq!(
        (transaction.number, transaction.name.as_deref()),
        (id.number, Some("first"))
    );
}

#[tokio::test(start_paused = true)]
async fn initial_state_and_then_changes_leave_no_hole() {
    let sim = Sim::new().await;
    sim.commit(vec![put("d.a", "1"), put("d.b.c", "2"), put("e", "3")])
        .await;
    let mut watch = sim.watch(&["d", "e"], Start::Initial);
    sim.put("d.a", "later").await;
    let events = drain(&mut watch).await;
    let WatchEvent::Initial { position, last, .. } = &events[0] else {
        panic!()
    };
    assert_eq!((position.version, *last), (1, true));
    assert_eq!(
        told(&events[0]),
        [
            "mkdir d",
            "put d.a=1",
            "mkdir d.b",
            "put d.b.c=2",
            "put e=3"
        ]
    );
    assert_eq!(told(&events[1]), ["put d.a=later"]);
    assert_eq!(events.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_large_initial_state_comes_in_pages() {
    let sim = Sim::new().await;
    for page in 0..5 {
        let names = (0..700).map(|n| put(&format!("d.k{:04}", page * 700 + n), "v"));
        sim.commit(names.collect()).await;
    }
    let mut watch = sim.watch(&["d.*", "d.k0001"], Start::Initial);
    let events = drain(&mut watch).await;
    assert!(events.len() > 1);
    let keys: Vec<_> = events.iter().flat_map(told).collect();
    assert_eq!(
        keys.len(),
        3500,
        "each key once, though two scopes hold one of them"
    );
    assert!(keys.is_sorted());
    let marks: Vec<_> = events
        .iter()
        .map(|e| matches!(e, WatchEvent::Initial { last: true, .. }))
        .collect();
    assert_eq!(marks.iter().filter(|&&last| last).count(), 1);
    assert!(marks[marks.len() - 1]);
}

#[tokio::test(start_paused = true)]
async fn an_operation_on_an_ancestor_tells_of_each_descendant() {
    let sim = Sim::new().await;
    sim.commit(vec![
        put("a.x", "1"),
        put("a.y.z", "2"),
        put("b.x", "3"),
        put("b.q", "4"),
    ])
    .await;
    let mut watch = sim.watch(&["b"], Start::Now);
    let mut glob = sim.watch(&["*.x"], Start::Now);
    sim.commit(vec![copy("a", "b")]).await;
    assert_eq!(
        changes(&mut watch).await,
        [
            "mkdir b",
            "unlink b.q",
            "put b.x=1",
            "mkdir b.y",
            "put b.y.z=2"
        ]
    );
    assert_eq!(changes(&mut glob).await, ["put b.x=1"]);
    sim.commit(vec![unlink("b")]).await;
    assert_eq!(
        changes(&mut watch).await,
        ["unlink b", "unlink b.x", "unlink b.y", "unlink b.y.z"]
    );
    assert_eq!(changes(&mut glob).await, ["unlink b.x"]);
    sim.commit(vec![put("a", "a value now")]).await;
    assert_eq!(changes(&mut glob).await, ["unlink a.x"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_may_go_and_come_back() {
    let sim = Sim::new().await;
    let mut watch = sim.watch(&["a.b"], Start::Now);
    sim.put("a.b", "1").await;
    sim.commit(vec![unlink("a.b")]).await;
    sim.put("a.b", "2").await;
    sim.commit(vec![unlink("a")]).await;
    sim.put("a.b", "2").await;
    sim.put("a.b", "2").await;
    assert_eq!(
        changes(&mut watch).await,
        [
            "put a.b=1",
            "unlink a.b",
            "put a.b=2",
            "unlink a.b",
            "put a.b=2",
            "put a.b=2"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn within_one_transaction_only_the_final_state_is_told() {
    let sim = Sim::new().await;
    sim.put("d.old", "0").await;
    let mut watch = sim.watch(&["."], Start::Now);
    sim.commit(vec![put("a", "1"), put("a", "2"), append("a", "3")])
        .await;
    assert_eq!(changes(&mut watch).await, ["put a=23"]);
    sim.commit(vec![put("d.new", "1"), unlink("d")]).await;
    assert_eq!(changes(&mut watch).await, ["unlink d", "unlink d.old"]);
    sim.commit(vec![append("a", "4"), append("a", "5")]).await;
    let WatchEvent::Changes { changes, .. } = one(&mut watch).await else {
        panic!()
    };
    assert_eq!(changes[0].appended.as_deref(), Some(&b"45"[..]));
    assert_eq!(
        changes[0].value,
        kvs_engine::ChangeValue::Inline("2345".into())
    );
}

#[tokio::test(start_paused = true)]
async fn links_are_told_with_their_targets() {
    let sim = Sim::new().await;
    let mut watch = sim.watch(&["l"], Start::Now);
    let target = Symlink {
        namespace: None,
        target: "a.b".into(),
    };
    sim.commit(vec![Operation::Link {
        key: key("l"),
        target,
    }])
    .await;
    assert_eq!(changes(&mut watch).await, ["link l->a.b"]);
}

#[tokio::test(start_paused = true)]
async fn a_wake_comes_for_what_concerns_the_watch_and_for_nothing_else() {
    let sim = Sim::new().await;
    let wakes = Arc::new(Wakes::default());
    let request = WatchRequest::new(vec![Scope::parse("a.*").unwrap()], Start::Now);
    let sink = wakes.clone();
    let mut watch = sim.engine.watch(OWNER, NS, request, sink, 7).unwrap();
    assert!(watch.next().await.unwrap().is_none());
    sim.put("b", "1").await;
    assert_eq!(wakes.count(), 0);
    sim.put("a.x", "1").await;
    sim.put("a.x", "2").await;
    assert_eq!(wakes.count(), 1, "one wake until it has been read");
    assert_eq!(changes(&mut watch).await, ["put a.x=1", "put a.x=2"]);
    sim.put("a.y", "3").await;
    assert_eq!(wakes.count(), 2);
    assert_eq!(watch.position().version, 3);
    assert_eq!(changes(&mut watch).await, ["put a.y=3"]);
    drop(watch);
    sim.put("a.y", "4").await;
    assert_eq!(wakes.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_with_its_namespace() {
    let sim = Sim::new().await;
    sim.engine
        .create_namespace(OWNER, "job", None)
        .await
        .unwrap();
    let request = WatchRequest::new(Vec::new(), Start::Now);
    let sink = Arc::new(Wakes::default());
    let mut watch = sim.engine.watch(OWNER, "job", request, sink, 0).unwrap();
    sim.engine.remove_namespace(OWNER, "job").await.unwrap();
    assert_eq!(watch.next().await.unwrap_err().kind, ErrorKind::NoNamespace);
}

#[tokio::test(start_paused = true)]
async fn a_future_version_is_waited_for() {
    let sim = Sim::new().await;
    let mut watch = sim.watch(
        &["a"],
        Start::Version {
            incarnation: None,
            version: 3,
        },
    );
    for n in 1..=4 {
        sim.put("a", n.to_string()).await;
        let _ = &mut watch;
    }
    assert_eq!(changes(&mut watch).await, ["put a=3", "put a=4"]);
}

#[tokio::test(start_paused = true)]
async fn random_changes_told_to_a_watch_rebuild_the_same_tree() {
    for seed in 0..20 {
        let sim = Sim::new().await;
        let mut random = Random(seed);
        let mut watch = sim.watch(&["."], Start::Now);
        let mut copied = std::collections::BTreeMap::new();
        for _ in 0..60 {
            let name = |random: &mut Random| format!("d{}.k{}", random.below(3), random.below(4));
            let (at, other) = (name(&mut random), name(&mut random));
            let operations = match random.below(6) {
                0 => vec![unlink(at.split('.').next().unwrap())],
                1 => vec![unlink(&at)],
                2 => vec![put("d1", "value"), put(&other, "1")],
                3 => vec![put(&at, "c"), copy(at.split('.').next().unwrap(), "d9")],
                _ => vec![put(&at, random.below(100).to_string()), put(&other, "2")],
            };
            sim.commit(operations).await;
            for event in drain(&mut watch).await {
                let WatchEvent::Changes { changes, .. } = event else {
                    panic!()
                };
                for change in changes {
                    match change.value {
                        kvs_engine::ChangeValue::Inline(value) => {
                            copied.insert(change.key.to_string(), value)
                        }
                        _ => copied.remove(change.key.as_str()),
                    };
                }
            }
            let view = sim.view(kvs_engine::At::Current).await;
            let mut expected = std::collections::BTreeMap::new();
            for (key, entry) in view.list(&key("."), None, 1000, true, None).await.unwrap() {
                if let kvs_tree::Entry::Value(value) = entry {
                    expected.insert(key.to_string(), value.inline().unwrap().clone());
                }
            }
            assert_eq!(copied, expected, "seed {seed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_was_away_is_told_the_few_versions_that_concern_it() {
    let sim = Sim::new().await;
    let left = sim.put("mine", "0").await.position.version;
    for n in 1..=2 {
        // More than one search step covers.
        for byte in 0..100 {
            sim.put("other", vec![byte; 60_000]).await;
        }
        sim.put("mine", n.to_string()).await;
    }
    let sim = sim.restart().await;
    let start = Start::Version {
        incarnation: None,
        version: left + 1,
    };
    let mut mine = sim.watch(&["mine"], start);
    assert_eq!(changes(&mut mine).await, ["put mine=1", "put mine=2"]);
    let mut others = sim.watch(&["other"], start);
    assert_eq!(changes(&mut others).await.len(), 200);
}

#[tokio::test(start_paused = true)]
async fn many_watches_of_one_key_are_all_woken_by_each_version() {
    let sim = Sim::new().await;
    let wakes = Arc::new(Wakes::default());
    let watch = |_| {
        let request = WatchRequest::new(vec![Scope::Key(key("a"))], Start::Now);
        let watch = sim.engine.watch(OWNER, NS, request, wakes.clone(), 0);
        watch.unwrap()
    };
    let mut watches: Vec<_> = (0..200).map(watch).collect();
    for version in 1..=3u64 {
        let woken = wakes.count();
        sim.put("a", version.to_string()).await;
        // They are woken in slices, between which other tasks run.
        while wakes.count() < woken + 200 {
            tokio::task::yield_now().await;
        }
        // Each reads to the end, and so asks to be woken again.
        for watch in &mut watches {
            assert_eq!(changes(watch).await, [format!("put a={version}")]);
        }
    }
}
