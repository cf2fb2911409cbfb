//! Checkpoints and trimming, and what they must never lose.

use kvs_engine::{At, ErrorKind, SimDisk, Start, WatchEvent};

use crate::support::*;

async fn oldest(sim: &Sim) -> u64 {
    sim.engine
        .log(OWNER, NS, 0, u64::MAX, &[], 1)
        .await
        .unwrap()
        .oldest
}

#[tokio::test(start_paused = true)]
async fn old_versions_are_dropped_and_the_newest_state_is_kept() {
    let sim = Sim::with(trimming(50), SimDisk::unrecorded()).await;
    for n in 0..2000 {
        sim.put(&format!("d.k{}", n % 100), n.to_string()).await;
    }
    let kept = oldest(&sim).await;
    assert!(kept > 1000 && kept <= 1951, "the oldest retained is {kept}");
    let error = sim
        .engine
        .view(OWNER, NS, At::Version(5))
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind, ErrorKind::Compacted);
    assert!(error.message.contains('5'), "{error}");
    let error = sim.engine.log(OWNER, NS, 5, 10, &[], 10).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Compacted);
    let (newest, root) = (sim.position().await, sim.view(At::Current).await.root());
    let sim = sim.restart().await;
    assert_eq!(
        (sim.position().await, sim.view(At::Current).await.root()),
        (newest, root)
    );
    assert_eq!(sim.get("d.k99").await.unwrap(), "1999");
    let kept = oldest(&sim).await;
    assert!(kept <= 1951, "the oldest retained is {kept}");
    for version in [kept - 1, kept, 1975, 2000] {
        let view = sim.view(At::Version(version)).await;
        let n = version - 1;
        assert_eq!(
            read(&view, &format!("d.k{}", n % 100)).await.unwrap(),
            n.to_string()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_limit_in_bytes_wins_over_number_and_time() {
    let mut config = trimming(50);
    config.retention.versions = 1_000_000;
    config.retention.time_ms = 1_000_000;
    config.retention.bytes = 256 * 1024;
    let sim = Sim::with(config, SimDisk::unrecorded()).await;
    for n in 0..3000 {
        sim.put("k", vec![b'x'; 200 + n % 3]).await;
    }
    assert!(oldest(&sim).await > 1);
    let journal: usize = sim
        .disk
        .files()
        .iter()
        .filter(|f| f.to_string_lossy().contains("journal/"))
        .map(|f| sim.disk.content(f).unwrap().len())
        .sum();
    assert!(journal <= 256 * 1024, "{journal} bytes of journal");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_lags_past_retention_gets_a_gap_and_then_the_state() {
    let sim = Sim::with(trimming(50), SimDisk::unrecorded()).await;
    let mut config_bytes = sim.watch(&["k"], Start::Now);
    for n in 0..2000 {
        sim.put("k", n.to_string()).await;
    }
    // Recent records are in memory and can still be delivered; a new watch from 1 cannot.
    assert_eq!(told(&one(&mut config_bytes).await), ["put k=0"]);
    let sim = sim.restart().await;
    let mut watch = sim.watch(
        &["k"],
        Start::Version {
            incarnation: None,
            version: 1,
        },
    );
    let events = drain(&mut watch).await;
    let now = sim.position().await;
    assert!(matches!(events[0], WatchEvent::Gap { from, to } if from.version == 0 && to == now));
    assert_eq!(told(&events[1]), ["put k=1999"]);
    assert_eq!(events.len(), 2);
    sim.put("k", "on").await;
    assert_eq!(changes(&mut watch).await, ["put k=on"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_any_retained_version_gets_every_version_after_it() {
    let sim = Sim::with(trimming(50), SimDisk::unrecorded()).await;
    for n in 1..=1500 {
        sim.put("k", n.to_string()).await;
    }
    let sim = sim.restart().await;
    for from in [oldest(&sim).await, 1480, 1499, 1500, 1501] {
        let start = Start::Version {
            incarnation: None,
            version: from,
        };
        let mut watch = sim.watch(&["k"], start);
        let expected: Vec<_> = (from..=1500).map(|n| format!("put k={n}")).collect();
        assert_eq!(changes(&mut watch).await, expected, "from {from}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_namespace_survives_the_trimming_of_a_busy_one() {
    let sim = Sim::with(trimming(50), SimDisk::unrecorded()).await;
    sim.engine
        .create_namespace(OWNER, "idle", None)
        .await
        .unwrap();
    let mut request = sim.request(vec![put("kept", "yes")]);
    request.namespace = "idle".into();
    sim.engine.commit(request).await.unwrap();
    for n in 0..2000 {
        sim.put("k", n.to_string()).await;
    }
    let sim = sim.restart().await;
    let view = sim.engine.view(OWNER, "idle", At::Current).await.unwrap();
    assert_eq!(read(&view, "kept").await.unwrap(), "yes");
}
