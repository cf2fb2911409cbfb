//! Namespaces: creating, removing and recreating them; owners; links between them.

use kvs_engine::{At, ErrorKind, Principal};
use kvs_tree::{Operation, Symlink};

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn a_namespace_is_made_used_removed_and_made_again_as_another() {
    let sim = Sim::new().await;
    sim.engine
        .create_namespace(OWNER, "job", None)
        .await
        .unwrap();
    let twice = sim
        .engine
        .create_namespace(OWNER, "job", None)
        .await
        .unwrap_err();
    assert_eq!(twice.kind, ErrorKind::Exists);
    let mut request = sim.request(vec![put("a", "1")]);
    request.namespace = "job".into();
    let committed = sim.engine.commit(request.clone()).await.unwrap();
    let sim = sim.restart().await;
    let view = sim.engine.view(OWNER, "job", At::Current).await.unwrap();
    assert_eq!(read(&view, "a").await.unwrap(), "1");
    let snapshot = view.snapshot();
    let waiting = sim.engine.clone();
    let wait = tokio::spawn(async move { waiting.wait_version(OWNER, "job", 99, None).await });
    tokio::task::yield_now().await;
    sim.engine.remove_namespace(OWNER, "job").await.unwrap();
    assert_eq!(
        wait.await.unwrap().unwrap_err().kind,
        ErrorKind::NoNamespace
    );
    let gone = sim
        .engine
        .view(OWNER, "job", At::Current)
        .await
        .err()
        .unwrap();
    assert_eq!(gone.kind, ErrorKind::NoNamespace);
    sim.engine
        .create_namespace(OWNER, "job", None)
        .await
        .unwrap();
    let view = sim.engine.view(OWNER, "job", At::Current).await.unwrap();
    assert_eq!(view.position().version, 0);
    assert_ne!(view.position().incarnation, committed.position.incarnation);
    request.id.number += 1000;
    sim.engine.commit(request).await.unwrap();
    let old = sim.engine.view(OWNER, "job", At::Snapshot(snapshot)).await;
    assert!(
        old.is_ok(),
        "the same version with the same root is the same state"
    );
}

#[tokio::test(start_paused = true)]
async fn primary_cannot_be_removed_and_unknown_names_can() {
    let sim = Sim::new().await;
    let error = sim.engine.remove_namespace(OWNER, NS).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoNamespace);
    sim.engine
        .remove_namespace(OWNER, "never-there")
        .await
        .unwrap();
    let bad = sim
        .engine
        .create_namespace(OWNER, "a@b", None)
        .await
        .unwrap_err();
    assert_eq!(bad.kind, ErrorKind::Invalid);
}

#[tokio::test(start_paused = true)]
async fn a_guest_reaches_only_what_it_owns() {
    let sim = Sim::new().await;
    let guest = Principal::Uid(4242);
    sim.put("a", "secret").await;
    sim.engine
        .create_namespace(OWNER, "theirs", Some(guest))
        .await
        .unwrap();
    let denied = sim.engine.view(guest, NS, At::Current).await.err().unwrap();
    assert_eq!(denied.kind, ErrorKind::Permission);
    let snapshot = sim.view(At::Current).await.snapshot();
    let denied = sim
        .engine
        .view(guest, NS, At::Snapshot(snapshot.clone()))
        .await
        .err()
        .unwrap();
    assert_eq!(
        denied.kind,
        ErrorKind::Permission,
        "a reference is no capability"
    );
    let denied = sim
        .engine
        .view(guest, "theirs", At::Root(snapshot.root))
        .await
        .err()
        .unwrap();
    assert_eq!(denied.kind, ErrorKind::Permission);
    let mut request = sim.request(vec![Operation::Link {
        key: key("out"),
        target: Symlink {
            namespace: Some(NS.into()),
            target: "a".into(),
        },
    }]);
    request.namespace = "theirs".into();
    request.caller = guest;
    sim.engine.commit(request).await.unwrap();
    let view = sim.engine.view(guest, "theirs", At::Current).await.unwrap();
    let denied = view.lookup(&key("out"), true).await.err().unwrap();
    assert_eq!(denied.kind, ErrorKind::Permission, "a link gives no right");
    let mut request = sim.request(vec![put("b", "")]);
    request.caller = guest;
    assert_eq!(
        sim.engine.commit(request).await.unwrap_err().kind,
        ErrorKind::Permission
    );
    let names: Vec<_> = sim
        .engine
        .namespaces(guest)
        .into_iter()
        .map(|n| n.name)
        .collect();
    assert_eq!(names, ["theirs"]);
}

#[tokio::test(start_paused = true)]
async fn a_link_into_another_namespace_is_read_through() {
    let sim = Sim::new().await;
    sim.engine
        .create_namespace(OWNER, "other", None)
        .await
        .unwrap();
    let mut request = sim.request(vec![put("x.y", "there")]);
    request.namespace = "other".into();
    sim.engine.commit(request).await.unwrap();
    let target = Symlink {
        namespace: Some("other".into()),
        target: "x".into(),
    };
    sim.commit(vec![Operation::Link {
        key: key("l"),
        target,
    }])
    .await;
    let view = sim.view(At::Current).await;
    let found = view.lookup(&key("l.y"), true).await.unwrap().unwrap();
    assert_eq!(
        (found.view.namespace(), found.key.as_str()),
        ("other", "x.y")
    );
}
