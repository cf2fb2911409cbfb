//! Following roots and namespaces.

use std::sync::Arc;

use kvs_engine::{
    ChangeKind, ErrorKind, Follower, Principal, RootEvent, SimDisk, Start, WatchRequest,
};

use crate::support::*;

fn follow(sim: &Sim, caller: Principal, namespace: Option<&str>, start: Start) -> Follower {
    let sink = Arc::new(Wakes::default());
    sim.engine
        .follow(caller, namespace, start, sink, 0)
        .unwrap()
}

async fn all(follower: &mut Follower) -> Vec<RootEvent> {
    let mut events = Vec::new();
    while let Some(event) = follower.next().await.unwrap() {
        events.push(event);
    }
    events
}

fn short(event: &RootEvent) -> String {
    match event {
        RootEvent::State { namespaces, lost } => format!("state {} {lost}", namespaces.len()),
        RootEvent::Moved {
            namespace,
            position,
            ..
        } => format!("{namespace} {}", position.version),
        RootEvent::Created { namespace, .. } => format!("created {namespace}"),
        RootEvent::Removed { namespace, .. } => format!("removed {namespace}"),
        RootEvent::Reincarnated { namespace, .. } => format!("reborn {namespace}"),
        RootEvent::OwnerChanged {
            namespace, owner, ..
        } => format!("{namespace} of {owner}"),
    }
}

#[tokio::test(start_paused = true)]
async fn each_move_is_told_with_the_root_before_it() {
    let sim = Sim::new().await;
    let first = sim.put("a", "1").await;
    let sink = Arc::new(Wakes::default());
    let counted = sink.clone();
    let mut follower = sim
        .engine
        .follow(OWNER, Some(NS), Start::Now, sink, 5)
        .unwrap();
    assert!(follower.next().await.unwrap().is_none());
    let second = sim
        .commit(vec![put("d.x", "2"), unlink("a"), put("d.x", "3")])
        .await;
    assert_eq!(counted.count(), 1);
    let third = sim.put("a", "4").await;
    let events = all(&mut follower).await;
    let RootEvent::Moved {
        position,
        root,
        previous,
        transactions,
        keys,
        ..
    } = &events[0]
    else {
        panic!()
    };
    assert_eq!((*position, *root), (second.position, second.root));
    assert_eq!((*previous, transactions.len()), (first.root, 1));
    let put = ChangeKind::Put;
    let expected = [
        (key("a"), ChangeKind::Unlink),
        (key("d"), ChangeKind::Mkdir),
        (key("d.x"), put),
    ];
    assert_eq!(keys[..], expected);
    assert!(
        matches!(&events[1], RootEvent::Moved { root, previous, .. } if *root == third.root && *previous == second.root)
    );
    assert_eq!(events.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_namespace_can_be_followed_from_a_version_across_a_restart() {
    let sim = Sim::new().await;
    let mut roots = vec![sim.view(kvs_engine::At::Current).await.root()];
    for n in 0..30 {
        roots.push(sim.put("a", n.to_string()).await.root);
    }
    let sim = sim.restart().await;
    let start = Start::Version {
        incarnation: None,
        version: 11,
    };
    let mut follower = follow(&sim, OWNER, Some(NS), start);
    let events = all(&mut follower).await;
    assert_eq!(events.len(), 20);
    for (event, at) in events.iter().zip(11..) {
        let RootEvent::Moved {
            position,
            root,
            previous,
            ..
        } = event
        else {
            panic!()
        };
        assert_eq!(position.version, at as u64);
        assert_eq!((*root, *previous), (roots[at], roots[at - 1]));
    }
}

#[tokio::test(start_paused = true)]
async fn namespaces_that_come_and_go_are_told_to_those_who_may_read_them() {
    let sim = Sim::new().await;
    let engine = &sim.engine;
    let theirs = Principal::Uid(77);
    let mut owner = follow(&sim, OWNER, None, Start::Initial);
    let mut other = follow(&sim, theirs, None, Start::Now);
    engine
        .create_namespace(OWNER, "job", Some(kvs_engine::Principal::Uid(77)))
        .await
        .unwrap();
    let mut request = sim.request(vec![put("a", "1")]);
    request.namespace = "job".into();
    engine.commit(request).await.unwrap();
    sim.put("a", "1").await;
    engine.remove_namespace(OWNER, "job").await.unwrap();
    let short = |events: Vec<RootEvent>| events.iter().map(short).collect::<Vec<_>>();
    assert_eq!(
        short(all(&mut owner).await),
        [
            "state 1 false",
            "created job",
            "job 1",
            "primary 1",
            "removed job"
        ]
    );
    assert_eq!(
        short(all(&mut other).await),
        ["created job", "job 1", "removed job"]
    );
    let error = engine
        .follow(theirs, Some(NS), Start::Now, Arc::new(Wakes::default()), 0)
        .err()
        .unwrap();
    assert_eq!(error.kind, ErrorKind::Permission);
}

#[tokio::test(start_paused = true)]
async fn what_was_trimmed_is_told_as_the_state() {
    let sim = Sim::with(trimming(50), SimDisk::unrecorded()).await;
    let mut slow = follow(&sim, OWNER, None, Start::Now);
    for n in 0..2000 {
        sim.put("k", n.to_string()).await;
    }
    let start = Start::Version {
        incarnation: None,
        version: 3,
    };
    let mut late = follow(&sim, OWNER, Some(NS), start);
    for follower in [&mut slow, &mut late] {
        let events: Vec<_> = all(follower).await.iter().map(short).collect();
        assert_eq!(events, ["state 1 true"]);
    }
    sim.put("k", "on").await;
    assert_eq!(short(&all(&mut slow).await[0]), "primary 2001");
}

#[tokio::test(start_paused = true)]
async fn a_namespace_is_waited_for_until_it_is_made() {
    let sim = Sim::new().await;
    let engine = sim.engine.clone();
    let waiting = tokio::spawn(async move { engine.wait_namespace(OWNER, "job").await });
    tokio::task::yield_now().await;
    sim.engine
        .create_namespace(OWNER, "other", None)
        .await
        .unwrap();
    assert!(!waiting.is_finished());
    sim.engine
        .create_namespace(OWNER, "job", None)
        .await
        .unwrap();
    waiting.await.unwrap().unwrap();
    sim.engine.wait_namespace(OWNER, "job").await.unwrap();
    let request = WatchRequest::new(Vec::new(), Start::Now);
    let sink = Arc::new(Wakes::default());
    sim.engine.watch(OWNER, "job", request, sink, 0).unwrap();
}
