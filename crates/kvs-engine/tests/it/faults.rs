//! Disks that fail: what cannot be made durable is refused, and a failed sync stops the store.

use kvs_engine::{At, CrashVariant, DiskFault, ErrorKind, FaultPoint, SimDisk, StopCause};

use crate::support::*;

/// A clock that panics once its flag is set.
#[derive(Default)]
struct Faulty(std::sync::atomic::AtomicBool);

impl kvs_engine::Clock for Faulty {
    fn now_ms(&self) -> u64 {
        let broken = self.0.load(std::sync::atomic::Ordering::SeqCst);
        assert!(!broken, "the clock is broken");
        1_700_000_000_000
    }

    fn uptime_ms(&self) -> u64 {
        0
    }

    fn thread_ns(&self) -> u64 {
        0
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_task_that_ends_by_itself_is_a_failure_of_the_store() {
    let mut sim = Sim::new().await;
    sim.engine.shutdown().await.unwrap();
    let clock = std::sync::Arc::new(Faulty::default());
    sim.env.clock = clock.clone();
    let opened = kvs_engine::Engine::open(sim.config.clone(), sim.env.clone()).await;
    sim.engine = opened.unwrap();
    sim.put("a", "1").await;
    clock.0.store(true, std::sync::atomic::Ordering::SeqCst);
    let request = sim.request(vec![put("a", "2")]);
    let error = sim.engine.commit(request).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert_eq!(sim.engine.failed().await.cause, StopCause::Internal);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_closed_has_not_failed() {
    let sim = Sim::new().await;
    let engine = sim.engine.clone();
    let failed = tokio::spawn(async move { engine.failed().await });
    sim.engine.shutdown().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert!(!failed.is_finished());
    failed.abort();
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_sync_nothing_is_acknowledged_any_more() {
    let sim = Sim::new().await;
    sim.put("a", "1").await;
    sim.disk
        .fail_on(FaultPoint::SyncData, "journal", 0, 1, DiskFault::Io);
    let error = sim
        .engine
        .commit(sim.request(vec![put("a", "2")]))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::OutcomeUnknown);
    let error = sim
        .engine
        .commit(sim.request(vec![put("a", "3")]))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    let stopped = sim.engine.failed().await;
    assert_eq!(stopped.cause, StopCause::Disk);
    assert_eq!(stopped.error.kind, ErrorKind::Unavailable);
    assert_eq!(
        sim.get("a").await.unwrap(),
        "1",
        "reads go on, of what is durable"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_write_is_refused_and_undone() {
    let sim = Sim::new().await;
    sim.put("a", "1").await;
    for fault in [
        DiskFault::Io,
        DiskFault::NoSpace,
        DiskFault::Short(40),
        DiskFault::Torn(40),
    ] {
        sim.disk.fail_on(FaultPoint::Write, "journal", 0, 1, fault);
        let refused = sim.engine.submit(sim.request(vec![put("a", "lost")]));
        let dragged = sim.engine.submit(sim.request(vec![put("b", "lost too")]));
        assert!(refused.await.is_err(), "{fault:?}");
        let _ = dragged.await;
        assert_eq!(sim.get("a").await.unwrap(), "1");
        sim.disk.clear_faults();
        sim.put("c", "later commits succeed").await;
    }
    let before = sim.view(At::Current).await.root();
    let sim = sim.restart().await;
    assert_eq!(sim.view(At::Current).await.root(), before);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_writes_keeps_serving_reads_and_recovers() {
    let sim = Sim::with(config(), SimDisk::unrecorded()).await;
    sim.put("a", "1").await;
    sim.disk.set_capacity(Some(sim.disk.used()));
    let mut refused = None;
    for n in 0..3000 {
        let request = sim.request(vec![put(&format!("k{}", n % 10), vec![b'x'; 500])]);
        if let Err(error) = sim.engine.commit(request).await {
            refused = Some(error);
            break;
        }
    }
    assert_eq!(refused.unwrap().kind, ErrorKind::NoSpace);
    let version = sim.position().await.version;
    assert_eq!(sim.get("a").await.unwrap(), "1");
    sim.disk.set_capacity(None);
    assert_eq!(sim.put("a", "2").await.position.version, version + 1);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_object_is_reported_and_never_returned() {
    let sim = Sim::new().await;
    sim.put("big", vec![b'v'; 200_000]).await;
    let Sim {
        engine,
        disk,
        env,
        config,
        ..
    } = sim;
    engine.shutdown().await.unwrap();
    let packs = disk
        .files()
        .into_iter()
        .filter(|f| f.to_string_lossy().ends_with(".pack"));
    for pack in packs {
        let len = disk.content(&pack).unwrap().len() as u64;
        // Objects precede the index, which open itself verifies.
        assert!(disk.flip(&pack, len / 2, 0x10));
    }
    let opened = kvs_engine::Engine::open(config, env).await;
    let error = match opened {
        Err(error) => error,
        Ok(engine) => {
            let view = engine.view(OWNER, NS, At::Current).await.unwrap();
            let found = view.lookup(&key("big"), true).await;
            match found {
                Err(error) => error,
                Ok(found) => {
                    let kvs_tree::Entry::Value(value) = found.unwrap().entry else {
                        panic!()
                    };
                    view.read(&value, 0..value.len()).await.unwrap_err()
                }
            }
        }
    };
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert!(error.message.contains("pack"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_damaged_sealed_segment_is_an_error_that_names_it() {
    let mut config = config();
    config.segment_bytes = Some(8 * 1024);
    // No checkpoint makes the journal superfluous.
    config.checkpoint_bytes = 1 << 40;
    let disk = SimDisk::new();
    let sim = Sim::with(config.clone(), disk.clone()).await;
    for n in 0..200 {
        sim.put("k", vec![b'x'; 100 + n % 7]).await;
    }
    let killed = disk.images_after(usize::MAX, CrashVariant::Kept);
    let mut segments: Vec<_> = killed
        .files()
        .into_iter()
        .filter(|f| f.to_string_lossy().contains("journal/"))
        .collect();
    segments.sort();
    let first = segments.first().unwrap();
    assert!(killed.flip(first, 4000, 0x01));
    let error = Sim::try_open(config, killed).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Corrupt);
    let name = first.file_name().unwrap().to_string_lossy().into_owned();
    assert!(
        error.message.contains(&name),
        "{error} does not name {name}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_open_is_busy_and_says_who_has_it() {
    let sim = Sim::new().await;
    let error = kvs_engine::Engine::open(sim.config.clone(), sim.env.clone())
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind, ErrorKind::Busy);
    assert!(error.message.contains("/store"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_reserve_pays_for_a_checkpoint_on_a_full_disk() {
    let sim = Sim::new().await;
    for n in 0..200 {
        sim.put(&format!("d.k{n}"), vec![b'x'; 100]).await;
    }
    sim.disk.set_capacity(Some(sim.disk.used()));
    sim.engine.checkpoint().await.unwrap();
    let reserve = std::path::Path::new("/store/reserve");
    assert_eq!(sim.disk.content(reserve), None, "it was spent");
    sim.disk.set_capacity(None);
    sim.put("a", "1").await;
    sim.engine.checkpoint().await.unwrap();
    assert!(sim.disk.content(reserve).is_some(), "it is set aside again");
}

#[tokio::test]
async fn damage_to_the_last_group_is_no_torn_write_after_a_clean_stop() {
    let sim = Sim::new().await;
    sim.put("a", "1").await;
    sim.put("b", "2").await;
    sim.engine.shutdown().await.unwrap();
    let segment = sim.disk.files().into_iter();
    let mut segment = segment.filter(|file| file.to_string_lossy().contains("journal/0"));
    let segment = segment.next().unwrap();
    let content = sim.disk.content(&segment).unwrap();
    let last = content.iter().rposition(|byte| *byte != 0).unwrap();
    assert!(sim.disk.flip(&segment, last as u64, 0x08));
    // Its effects are in the checkpoint: only the past has a hole, and no version number is used
    // twice.
    let mut sim = Sim::try_open(config(), sim.disk.clone()).await.unwrap();
    sim.forget_numbers();
    for version in 3..6 {
        assert_eq!(sim.get("a").await.unwrap(), "1");
        assert_eq!(sim.get("b").await.unwrap(), "2");
        let error = sim.engine.log(OWNER, NS, 2, 2, &[], 1).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Corrupt, "{error}");
        assert_eq!(sim.put("c", "3").await.position.version, version);
        sim = sim.restart().await;
    }
}

#[tokio::test]
async fn a_damaged_group_of_the_past_costs_one_version_of_the_log() {
    let mut config = config();
    config.segment_bytes = Some(8 * 1024);
    let sim = Sim::with(config.clone(), SimDisk::unrecorded()).await;
    for n in 1..=100 {
        sim.put("a", format!("{n:0200}")).await;
    }
    sim.engine.shutdown().await.unwrap();
    let mut segments = sim.disk.files();
    segments.retain(|file| file.to_string_lossy().contains("journal/0"));
    segments.sort();
    // Within the value of a version, in the second of several segments.
    assert!(segments.len() > 3);
    let content = sim.disk.content(&segments[1]).unwrap();
    let zeros = content.windows(100).skip(3_000);
    let at = zeros.take_while(|bytes| **bytes != [b'0'; 100]).count() + 3_000;
    assert!(sim.disk.flip(&segments[1], at as u64, 0x04));
    let sim = Sim::try_open(config, sim.disk.clone()).await.unwrap();
    let mut lost = Vec::new();
    for version in 1..=100 {
        let page = sim.engine.log(OWNER, NS, version, version, &[], 1).await;
        match page {
            Ok(page) => assert_eq!(page.entries.len(), 1),
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Corrupt);
                lost.push(version);
            }
        }
    }
    assert_eq!(lost.len(), 1, "{lost:?}");
    sim.put("a", "on").await;
}
