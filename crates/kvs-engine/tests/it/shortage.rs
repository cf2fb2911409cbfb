//! Descriptors and disk space run out: operations are refused, and nothing stops.

use std::path::Path;

use kvs_engine::{
    At, CrashVariant, Disk as _, DiskFault, EngineConfig, ErrorKind, FaultPoint, SimDisk,
};

use crate::support::*;

fn small() -> EngineConfig {
    let mut config = config();
    config.segment_bytes = Some(8 * 1024);
    config.checkpoint_bytes = 16 * 1024;
    config.open_files = 3;
    config
}

/// A large value, different for each number.
fn large(number: usize) -> Vec<u8> {
    format!("{number:08}").repeat(10_000).into_bytes()
}

#[tokio::test(start_paused = true)]
async fn more_packs_and_segments_than_descriptors_are_opened_and_read() {
    let disk = SimDisk::unrecorded();
    disk.set_descriptors(Some(12));
    let mut sim = Sim::with(small(), disk.clone()).await;
    for number in 0..120 {
        sim.put(&format!("large.k{number}"), large(number)).await;
        sim.put(&format!("small.k{number}"), vec![b's'; 400]).await;
    }
    for _ in 0..2 {
        let files = disk.files();
        let count = |part| {
            files
                .iter()
                .filter(|f| f.to_string_lossy().contains(part))
                .count()
        };
        assert!(count(".pack") > 12 && count("journal") > 12, "{files:?}");
        for number in 0..120 {
            let found = sim.get(&format!("large.k{number}")).await.unwrap();
            assert_eq!(found, large(number));
        }
        // The past is read from the segments.
        let (mut from, mut versions) = (0, 0);
        loop {
            let log = sim.engine.log(OWNER, NS, from, u64::MAX, &[], 50).await;
            let log = log.unwrap();
            versions += log.entries.len();
            match log.next {
                Some(next) => from = next,
                None => break,
            }
        }
        assert_eq!(versions, 240);
        sim = sim.restart().await;
    }
    assert!(disk.open_files() <= 12);
}

#[tokio::test(start_paused = true)]
async fn whenever_descriptors_run_out_the_store_refuses_and_goes_on() {
    for point in [FaultPoint::Create, FaultPoint::Open] {
        for after in 0..12 {
            for times in [1, 7] {
                let sim = Sim::with(small(), SimDisk::unrecorded()).await;
                sim.put("a", "1").await;
                sim.disk
                    .fail_on(point, "", after, times, DiskFault::NoDescriptors);
                let (mut refused, mut model) = (0, None);
                for number in 0..200 {
                    let length = if number % 20 == 0 { 80_000 } else { 300 };
                    let value = vec![b'a' + number as u8 % 26; length];
                    let request = sim.request(vec![put("k", value.clone())]);
                    match sim.engine.commit(request).await {
                        Ok(_) => model = Some(value),
                        Err(error) => {
                            assert_eq!(error.kind, ErrorKind::NoSpace, "{error}");
                            assert!(error.message.contains("os error 24"), "{error}");
                            refused += 1;
                        }
                    }
                    // A read that has to open a file itself may be refused as well.
                    let view = sim.view(At::Current).await;
                    if let Err(error) = view.lookup(&key("a"), true).await {
                        assert_eq!(error.kind, ErrorKind::NoSpace, "{error}");
                    }
                }
                assert!(refused <= 8, "{point:?} {after} {times}: {refused}");
                sim.disk.clear_faults();
                sim.put("a", "2").await;
                let sim = sim.restart().await;
                assert_eq!(sim.get("a").await.unwrap(), "2");
                assert_eq!(sim.get("k").await.unwrap(), model.unwrap());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_removed_under_the_daemon_acknowledges_nothing_any_more() {
    for thorough in [false, true] {
        let sim = Sim::with(config(), SimDisk::unrecorded()).await;
        sim.put("a", "1").await;
        let lock = Path::new("/store/lock");
        sim.disk.remove(lock).unwrap();
        if thorough {
            // Another store was created there.
            sim.disk.create(lock).unwrap();
        }
        let request = sim.request(vec![put("a", "2")]);
        let error = sim.engine.commit(request).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::OutcomeUnknown, "{error}");
        assert!(error.message.contains("/store"), "{error}");
        assert_eq!(sim.engine.failed().await.error.kind, ErrorKind::Unavailable);
        // Reads are refused too, because the store may be another's by now.
        let read = sim.engine.view(OWNER, NS, At::Current).await;
        let error = read.map(|_| ()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    }
    // Also if nothing was committed since.
    let sim = Sim::with(config(), SimDisk::unrecorded()).await;
    sim.disk.remove(Path::new("/store/lock")).unwrap();
    assert!(sim.engine.shutdown().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_restart_on_a_full_disk_takes_what_fitted_before() {
    for killed in [false, true] {
        for fill in [1, 40, 90, 200] {
            let sim = Sim::with(small(), SimDisk::new()).await;
            for number in 0..fill {
                sim.put(&format!("k{}", number % 7), vec![b'x'; 500]).await;
            }
            // The next segment is prepared, and the disk is full.
            sim.disk.set_capacity(Some(sim.disk.used()));
            let disk = match killed {
                true => sim.disk.images_after(usize::MAX, CrashVariant::Kept),
                false => {
                    sim.engine.shutdown().await.unwrap();
                    sim.disk.clone()
                }
            };
            disk.set_capacity(Some(disk.used()));
            let sim = Sim::with(small(), disk).await;
            sim.forget_numbers();
            for number in 0..4 {
                sim.put("after", format!("{fill} {number}")).await;
            }
            assert_eq!(sim.get("k0").await.unwrap(), vec![b'x'; 500]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_refused_leaves_nothing() {
    let disk = SimDisk::unrecorded();
    let full = {
        let sim = Sim::with(small(), disk.clone()).await;
        sim.engine.shutdown().await.unwrap();
        disk.used()
    };
    let mut refused = 0;
    for capacity in (0..full).step_by(1009) {
        let disk = SimDisk::unrecorded();
        disk.set_capacity(Some(capacity));
        match Sim::try_open(small(), disk.clone()).await {
            Ok(sim) => sim.engine.shutdown().await.unwrap(),
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::NoSpace, "{error}");
                assert!(disk.files().is_empty(), "{:?}", disk.files());
                assert!(!disk.exists(Path::new("/store")).unwrap());
                refused += 1;
            }
        }
    }
    assert!(refused > 2, "{refused}");
    // What exists already stays.
    let sim = Sim::with(small(), SimDisk::unrecorded()).await;
    sim.put("a", "1").await;
    sim.engine.shutdown().await.unwrap();
    let disk = sim.disk.clone();
    let before = disk.files();
    disk.fail(FaultPoint::Open, 1, DiskFault::NoDescriptors);
    assert!(Sim::try_open(small(), disk.clone()).await.is_err());
    assert_eq!(disk.files(), before);
    let sim = Sim::with(small(), disk).await;
    assert_eq!(sim.get("a").await.unwrap(), "1");
}
