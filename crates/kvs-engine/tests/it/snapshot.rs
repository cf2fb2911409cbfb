//! Snapshots of past versions, and pins.

use kvs_engine::limits::LEASE_MS;
use kvs_engine::{At, CrashVariant, ErrorKind, SimClock, SimDisk, SnapshotRef};
use std::sync::Arc;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn every_retained_version_can_be_read() {
    let sim = Sim::new().await;
    for n in 1..=1000 {
        sim.put(&format!("k{}", n % 7), n.to_string()).await;
    }
    for version in [1, 2, 500, 743, 744, 745, 999, 1000] {
        let view = sim.view(At::Version(version)).await;
        assert_eq!(view.position().version, version);
        assert_eq!(
            read(&view, &format!("k{}", version % 7)).await.unwrap(),
            version.to_string()
        );
    }
    let empty = sim.view(At::Version(0)).await;
    assert!(
        empty
            .list(&key("."), None, 10, true, None)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_reference_reads_its_state_and_no_other() {
    let sim = Sim::new().await;
    sim.put("a", "1").await;
    let snapshot = sim.view(At::Current).await.snapshot();
    sim.put("a", "2").await;
    let text = snapshot.to_string();
    assert!(text.starts_with("primary@1:blake3-"), "{text}");
    let view = sim.view(At::Snapshot(text.parse().unwrap())).await;
    assert_eq!(read(&view, "a").await.unwrap(), "1");
    let bare = sim.view(At::Root(snapshot.root)).await;
    assert_eq!(read(&bare, "a").await.unwrap(), "1");
    let wrong = SnapshotRef {
        version: 2,
        ..snapshot.clone()
    };
    let error = sim
        .engine
        .view(OWNER, NS, At::Snapshot(wrong))
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind, ErrorKind::StaleSnapshot);
    let future = SnapshotRef {
        version: 9,
        ..snapshot
    };
    let error = sim
        .engine
        .view(OWNER, NS, At::Snapshot(future))
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind, ErrorKind::StaleSnapshot);
}

#[tokio::test(start_paused = true)]
async fn a_pinned_snapshot_survives_trimming_and_restarts_until_it_is_released() {
    let sim = Sim::with(trimming(10), SimDisk::unrecorded()).await;
    sim.commit(
        (0..200)
            .map(|n| put(&format!("d.k{n}"), "pinned"))
            .collect(),
    )
    .await;
    let snapshot = sim.view(At::Current).await.snapshot();
    let pin = sim.engine.pin(OWNER, snapshot.clone(), None).await.unwrap();
    for n in 0..1500 {
        sim.put(&format!("d.k{}", n % 200), "later").await;
    }
    for restarts in 0..3 {
        if restarts == 1 {
            assert_eq!(sim.engine.pins(OWNER), std::slice::from_ref(&pin));
        }
        let view = sim.view(At::Snapshot(snapshot.clone())).await;
        let entries = view.list(&key("d"), None, 1000, false, None).await.unwrap();
        assert_eq!(entries.len(), 200);
        assert_eq!(read(&view, "d.k7").await.unwrap(), "pinned");
        if restarts == 2 {
            break;
        }
    }
    let sim = sim.restart().await;
    let view = sim.view(At::Snapshot(snapshot.clone())).await;
    assert_eq!(read(&view, "d.k199").await.unwrap(), "pinned");
    sim.engine.unpin(OWNER, pin.id).await.unwrap();
    let error = sim
        .engine
        .view(OWNER, NS, At::Snapshot(snapshot))
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind, ErrorKind::Compacted);
    let error = sim.engine.unpin(OWNER, pin.id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_lease_runs_out() {
    let disk = SimDisk::unrecorded();
    let mut env = kvs_engine::Environment::simulated(disk, 7);
    let clock = Arc::new(SimClock::new(1_000_000));
    env.clock = clock.clone();
    let engine = kvs_engine::Engine::open(config(), env).await.unwrap();
    let snapshot = engine
        .view(OWNER, NS, At::Current)
        .await
        .unwrap()
        .snapshot();
    let pin = engine.pin(OWNER, snapshot, Some(5_000)).await.unwrap();
    assert_eq!((pin.lease_ms, pin.left_ms), (Some(5_000), Some(5_000)));
    let pass = async |ms| {
        clock.advance(ms);
        engine.sync(OWNER).await.unwrap();
    };
    for left in (1..100).rev().map(|ticks| ticks * 50) {
        pass(50).await;
        let pins = engine.pins(OWNER);
        let [pin] = &pins[..] else { panic!("{pins:?}") };
        assert_eq!((pin.lease_ms, pin.left_ms), (Some(5_000), Some(left)));
    }
    pass(50).await;
    engine.sync(OWNER).await.unwrap();
    assert_eq!(engine.pins(OWNER).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_kept_is_refused_and_pins_nothing() {
    let sim = Sim::new().await;
    sim.put("a", "1").await;
    let snapshot = sim.view(At::Current).await.snapshot();
    for (lease, kind) in [
        (0, ErrorKind::Invalid),
        (LEASE_MS + 1, ErrorKind::Limit),
        (u64::MAX, ErrorKind::Limit),
    ] {
        let pinned = sim.engine.pin(OWNER, snapshot.clone(), Some(lease)).await;
        assert_eq!(pinned.unwrap_err().kind, kind, "{lease}");
    }
    assert_eq!(sim.engine.pins(OWNER).len(), 0);
    let longest = sim.engine.pin(OWNER, snapshot, Some(LEASE_MS)).await;
    assert!(longest.unwrap().left_ms.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_reference_to_a_directory_that_was_shown_can_be_read() {
    let sim = Sim::new().await;
    sim.put("a.b", "1").await;
    let view = sim.view(At::Current).await;
    let entry = view.lookup(&key("a"), false).await.unwrap().unwrap().entry;
    let object = view.tree_object(&entry).await.unwrap();
    let start = object.find("blake3-").unwrap();
    let reference: kvs_tree::Blobref = object[start..start + 71].parse().unwrap();
    sim.put("a.b", "2").await;
    let old = sim.view(At::Root(reference)).await;
    assert_eq!(read(&old, "b").await.unwrap(), "1");
    let other = kvs_tree::Blobref::of(kvs_tree::HashAlgorithm::Blake3, b"never");
    let error = sim
        .engine
        .view(OWNER, NS, At::Root(other))
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind, ErrorKind::Compacted);
}

#[tokio::test(start_paused = true)]
async fn a_pin_survives_a_power_cut_after_its_version_was_trimmed() {
    let disk = SimDisk::new();
    let sim = Sim::with(trimming(10), disk.clone()).await;
    sim.put("d.kept", "pinned").await;
    let snapshot = sim.view(At::Current).await.snapshot();
    sim.engine.pin(OWNER, snapshot.clone(), None).await.unwrap();
    let pinned = disk.operations();
    for n in 0..300 {
        sim.put(&format!("d.k{}", n % 20), "later").await;
    }
    let mut points = disk.crash_points();
    while points.advance() {
        if points.operation() < pinned || !points.operation().is_multiple_of(7) {
            continue;
        }
        let sim = Sim::with(trimming(10), points.image(CrashVariant::Lost)).await;
        let view = sim.view(At::Snapshot(snapshot.clone())).await;
        assert_eq!(read(&view, "d.kept").await.unwrap(), "pinned");
    }
}
