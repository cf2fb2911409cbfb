//! Namespaces that are created as copies of a state.

use kvs_engine::{At, CrashVariant, EngineConfig, ErrorKind, SimDisk, SnapshotRef, Start};
use kvs_tree::{Blobref, Entry, HashAlgorithm};

use crate::support::*;

async fn fork(sim: &Sim, name: &str, from: At) {
    let made = sim.engine.fork_namespace(OWNER, name, None, from).await;
    made.unwrap();
}

async fn value(sim: &Sim, namespace: &str, at: &str) -> Option<bytes::Bytes> {
    let view = sim.engine.view(OWNER, namespace, At::Current).await;
    read(&view.unwrap(), at).await
}

async fn put_in(sim: &Sim, namespace: &str, at: &str, text: &'static str) {
    let mut request = sim.request(vec![put(at, text)]);
    request.namespace = namespace.into();
    sim.engine.commit(request).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_fork_begins_as_the_snapshot_and_goes_its_own_way() {
    let sim = Sim::new().await;
    sim.put("a.b", "old").await;
    let snapshot = sim.view(At::Current).await.snapshot();
    sim.put("a.b", "new").await;
    fork(&sim, "copy", At::Snapshot(snapshot.clone())).await;
    let view = sim.engine.view(OWNER, "copy", At::Current).await.unwrap();
    assert_eq!((view.position().version, view.root()), (0, snapshot.root));
    assert_eq!(read(&view, "a.b").await.unwrap(), "old");
    put_in(&sim, "copy", "a.c", "own").await;
    assert_eq!(sim.get("a.c").await, None);
    assert_eq!(sim.get("a.b").await.unwrap(), "new");
    let first = sim
        .engine
        .view(OWNER, "copy", At::Version(0))
        .await
        .unwrap();
    assert_eq!(first.root(), snapshot.root);
    let log = sim.engine.log(OWNER, "copy", 0, 9, &[], 9).await.unwrap();
    assert_eq!(log.entries.len(), 1);
    assert_eq!(log.entries[0].keys.len(), 1, "one key changed in version 1");
}

#[tokio::test(start_paused = true)]
async fn a_fork_may_begin_with_a_root_that_is_known_and_no_other() {
    let sim = Sim::new().await;
    let committed = sim.put("a.b", "1").await;
    sim.put("a.b", "2").await;
    fork(&sim, "root", At::Root(committed.root)).await;
    assert_eq!(value(&sim, "root", "a.b").await.unwrap(), "1");
    let view = sim.view(At::Current).await;
    let entry = view.lookup(&key("a"), false).await.unwrap().unwrap().entry;
    view.tree_object(&entry).await.unwrap();
    let Entry::Directory(directory) = &entry else {
        panic!()
    };
    let object = view.tree_object(&Entry::Directory(directory.clone())).await;
    let object = object.unwrap();
    let start = object.find("blake3-").unwrap();
    let shown: Blobref = object[start..start + 71].parse().unwrap();
    fork(&sim, "part", At::Root(shown)).await;
    assert_eq!(value(&sim, "part", "b").await.unwrap(), "2");
    let never = Blobref::of(HashAlgorithm::Blake3, b"never");
    let stale = SnapshotRef {
        root: never,
        ..view.snapshot()
    };
    for (from, kind) in [
        (At::Root(never), ErrorKind::Compacted),
        (At::Snapshot(stale), ErrorKind::StaleSnapshot),
    ] {
        let refused = sim.engine.fork_namespace(OWNER, "no", None, from).await;
        assert_eq!(refused.unwrap_err().kind, kind);
    }
    let from = At::Snapshot(view.snapshot());
    let twice = sim.engine.fork_namespace(OWNER, "part", None, from).await;
    assert_eq!(twice.unwrap_err().kind, ErrorKind::Exists);
}

#[tokio::test(start_paused = true)]
async fn a_fork_under_the_name_of_a_removed_namespace_is_another() {
    let sim = Sim::new().await;
    sim.put("a", "1").await;
    let snapshot = sim.view(At::Current).await.snapshot();
    fork(&sim, "copy", At::Snapshot(snapshot.clone())).await;
    let old = sim.engine.view(OWNER, "copy", At::Current).await.unwrap();
    let request = kvs_engine::WatchRequest::new(Vec::new(), Start::Now);
    let sink = std::sync::Arc::new(Wakes::default());
    let mut watch = sim.engine.watch(OWNER, "copy", request, sink, 0).unwrap();
    sim.engine.remove_namespace(OWNER, "copy").await.unwrap();
    sim.engine
        .create_namespace(OWNER, "copy", None)
        .await
        .unwrap();
    assert_eq!(watch.next().await.unwrap_err().kind, ErrorKind::NoNamespace);
    let stale = sim
        .engine
        .view(OWNER, "copy", At::Snapshot(old.snapshot()))
        .await;
    assert_eq!(stale.err().unwrap().kind, ErrorKind::StaleSnapshot);
    let new = sim.engine.view(OWNER, "copy", At::Current).await.unwrap();
    assert_ne!(new.position().incarnation, old.position().incarnation);
}

fn small() -> EngineConfig {
    let mut config = config();
    config.segment_bytes = Some(8 * 1024);
    config.checkpoint_bytes = 6 * 1024;
    config.retention.versions = 20;
    config.retention.time_ms = 0;
    config.retention.bytes = 256 * 1024;
    config
}

#[tokio::test(start_paused = true)]
async fn forks_survive_power_cuts_with_what_only_memory_held_of_their_root() {
    let disk = SimDisk::new();
    let sim = Sim::with(small(), disk.clone()).await;
    let mut made: Vec<(usize, String, String)> = Vec::new();
    for n in 0..40 {
        let text = format!("{n}-{}", "x".repeat(200));
        sim.put(&format!("d.k{}", n % 5), text.clone()).await;
        if n % 4 == 0 {
            let name = format!("fork{n}");
            let from = At::Snapshot(sim.view(At::Current).await.snapshot());
            fork(&sim, &name, from).await;
            made.push((disk.operations(), name, text));
        }
    }
    let mut points = disk.crash_points();
    loop {
        if points.operation().is_multiple_of(3) {
            let at = points.operation();
            let variant = CrashVariant::Mixed(at as u64);
            let sim = Sim::with(small(), points.image(variant)).await;
            for (operations, name, text) in &made {
                if *operations > at {
                    continue;
                }
                let n: u64 = name[4..].parse().unwrap();
                let found = value(&sim, name, &format!("d.k{}", n % 5)).await;
                assert_eq!(found.unwrap(), *text, "{name} at {at}");
            }
        }
        if !points.advance() {
            break;
        }
    }
    let sim = Sim::with(small(), points.image(CrashVariant::Kept)).await;
    let sim = sim.restart().await;
    put_in(&sim, "fork0", "more", "1").await;
    assert_eq!(value(&sim, "fork0", "more").await.unwrap(), "1");
}
