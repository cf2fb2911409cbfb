//! The commit task with other threads, as in a daemon: some groups are written by itself, some by
//! the journal's thread, on a simulated disk that loses what was not synced.

use kvs_engine::{At, CrashVariant, Durability, Engine, SimDisk, Submitted};

use crate::support::{NS, OWNER, Sim, config, put, read};

/// Committers of one burst: enough for several groups.
const BURST: usize = 200;

/// A daemon's engine on a simulated disk.
async fn threaded(disk: &SimDisk, durability: Durability) -> Sim {
    let mut config = config();
    config.durability = durability;
    let sim = Sim::with(config, disk.clone()).await;
    sim.threaded().await
}

async fn all(submitted: Vec<Submitted>, keys: &mut Vec<(String, u64)>, from: usize) {
    for (n, answer) in submitted.into_iter().enumerate() {
        let committed = answer.await.unwrap();
        keys.push((format!("burst.{}", from + n), committed.position.version));
    }
}

/// Single puts with bursts between them. Returns the acknowledged keys with their versions.
async fn work(sim: &Sim) -> Vec<(String, u64)> {
    let mut keys = Vec::new();
    for round in 0..20 {
        let lone = format!("lone.{round}");
        let committed = sim.put(&lone, lone.clone()).await;
        keys.push((lone, committed.position.version));
        let from = round * BURST;
        let requests = (from..from + BURST).map(|n| {
            let key = format!("burst.{n}");
            sim.request(vec![put(&key, key.clone())])
        });
        let submitted = sim.submit_each(requests);
        all(submitted, &mut keys, from).await;
    }
    keys
}

async fn check(engine: &Engine, keys: &[(String, u64)]) {
    let mut last = 0;
    for (key, version) in keys {
        assert!(*version >= last, "{key} overtook another");
        last = *version;
        let view = engine.view(OWNER, NS, At::Current).await.unwrap();
        let value = read(&view, key).await;
        assert_eq!(value.as_deref(), Some(key.as_bytes()), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_durable_whichever_thread_wrote_it() {
    let disk = SimDisk::new();
    let sim = threaded(&disk, Durability::Commit).await;
    let keys = work(&sim).await;
    check(&sim.engine, &keys).await;
    let image = disk.images_after(disk.operations(), CrashVariant::Lost);
    let after = Sim::with(config(), image).await;
    check(&after.engine, &keys).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_syncs_a_clean_stop_keeps_everything_too() {
    for durability in [Durability::Interval, Durability::None] {
        let disk = SimDisk::unrecorded();
        let sim = threaded(&disk, durability).await;
        let keys = work(&sim).await;
        check(&sim.engine, &keys).await;
        sim.engine.shutdown().await.unwrap();
        let after = Sim::with(config(), disk).await;
        check(&after.engine, &keys).await;
    }
}
