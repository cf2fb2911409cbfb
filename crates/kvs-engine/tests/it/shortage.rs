//! Descriptors run out: what cannot be done is refused, and nothing stops.

use kvs_engine::{At, DiskFault, EngineConfig, ErrorKind, FaultPoint, SimDisk};

use crate::support::*;

fn small() -> EngineConfig {
    let mut config = config();
    config.segment_bytes = Some(8 * 1024);
    config.checkpoint_bytes = 16 * 1024;
    config.open_files = 3;
    config
}

/// A large value, unlike all others.
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
