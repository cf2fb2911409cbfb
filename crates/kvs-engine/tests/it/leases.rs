//! Leases of pins expire on time however contended a key is, and only time in which the daemon
//! serves counts.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kvs_engine::{
    At, Clock, Disk, DiskFile, Engine, Environment, LockGuard, SimClock, SimDisk, SimEntropy,
};
use kvs_tree::Operation;

use crate::support::*;

/// A disk on which each sync takes 20 ms.
#[derive(Debug)]
struct Slow(SimDisk, Arc<SimClock>);

#[derive(Debug)]
struct SlowFile(Arc<dyn DiskFile>, Arc<SimClock>);

const SYNC_MS: u64 = 20;

impl Slow {
    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(SlowFile(file, self.1.clone()))
    }
}

impl Disk for Slow {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(self.0.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(self.0.open(path)?))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.0.list(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.0.exists(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync_dir(path)
    }

    fn lock(&self, path: &Path, content: &str) -> io::Result<LockGuard> {
        self.0.lock(path, content)
    }
}

impl DiskFile for SlowFile {
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(data, offset)
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(out, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.1.advance(SYNC_MS);
        self.0.sync_data()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.0.allocate(len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
}

/// Clients that increment one key without pause while `on` is set.
fn contend(engine: &Engine, clients: u8, on: &Arc<AtomicBool>) {
    for client in 1..=clients {
        let (engine, on) = (engine.clone(), on.clone());
        tokio::spawn(async move {
            let mut number = 0;
            while on.load(Ordering::Relaxed) {
                number += 1;
                let add = Operation::Add {
                    key: key("n"),
                    delta: 1,
                };
                let mut request = commit_request([client; 16], number, vec![add]);
                request.acknowledged = number - 1;
                engine.commit(request).await.unwrap();
            }
        });
    }
}

/// A clock on which no time passes for the store: leases do not expire.
struct Unticking(Arc<SimClock>);

impl Clock for Unticking {
    fn now_ms(&self) -> u64 {
        self.0.now_ms()
    }

    fn uptime_ms(&self) -> u64 {
        0
    }

    fn thread_ns(&self) -> u64 {
        0
    }
}

/// Checks that a one-second lease expires on time while `clients` clients increment one key.
async fn contended(clients: u8, planted: bool) -> Result<(), String> {
    let clock = Arc::new(SimClock::new(1_000_000));
    let on = Arc::new(AtomicBool::new(true));
    let env = Environment {
        disk: Arc::new(Slow(SimDisk::unrecorded(), clock.clone())),
        clock: match planted {
            true => Arc::new(Unticking(clock.clone())),
            false => clock.clone(),
        },
        entropy: Arc::new(SimEntropy::new(7)),
        inline: true,
    };
    let engine = Engine::open(config(), env).await.unwrap();
    contend(&engine, clients, &on);
    let snapshot = engine.view(OWNER, NS, At::Current).await.unwrap();
    let began = clock.uptime_ms();
    let pinned = engine.pin(OWNER, snapshot.snapshot(), Some(1_000)).await;
    pinned.unwrap();
    let took = || clock.uptime_ms() - began;
    while !engine.pins(OWNER).is_empty() && took() < 60_000 {
        tokio::task::yield_now().await;
    }
    let took = took();
    on.store(false, Ordering::Relaxed);
    let added = engine.view(OWNER, NS, At::Current).await.unwrap();
    let added = added.position().version;
    assert!(added > 10 * u64::from(clients), "{clients}: {added}");
    match (1_000..=1_500).contains(&took) {
        true => Ok(()),
        false => Err(format!("{clients} clients: after {took} ms")),
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_in_time_while_everybody_adds_to_one_key() {
    for clients in [1, 16, 64] {
        assert_eq!(contended(clients, false).await, Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn an_expiry_that_is_lost_under_contention_is_noticed() {
    assert!(contended(64, true).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_stopped_for_long_ends_no_lease() {
    let (disk, clock) = (SimDisk::unrecorded(), Arc::new(SimClock::new(1_000_000)));
    let mut env = Environment::simulated(disk, 7);
    env.clock = clock.clone();
    let engine = Engine::open(config(), env).await.unwrap();
    let snapshot = engine.view(OWNER, NS, At::Current).await.unwrap();
    let pinned = engine.pin(OWNER, snapshot.snapshot(), Some(1_000)).await;
    pinned.unwrap();
    for hours in 1..=9 {
        // Both clocks advance meanwhile.
        clock.advance(3_600_000);
        engine.sync(OWNER).await.unwrap();
        engine.sync(OWNER).await.unwrap();
        let pins = engine.pins(OWNER);
        assert_eq!(pins.len(), 1, "stopped for an hour, {hours} times");
        assert_eq!(pins[0].left_ms, Some(1_000 - 100 * hours));
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_begins_every_lease_anew() {
    let sim = Sim::new().await;
    let snapshot = sim.view(At::Current).await.snapshot();
    let (once, kept) = (snapshot.clone(), snapshot);
    sim.engine.pin(OWNER, once, Some(5_000)).await.unwrap();
    sim.engine.pin(OWNER, kept, None).await.unwrap();
    let sim = sim.restart().await;
    let left = |sim: &Sim| -> Vec<_> {
        let pins = sim.engine.pins(OWNER).into_iter();
        pins.map(|pin| (pin.lease_ms, pin.left_ms)).collect()
    };
    let expected = [(Some(5_000), Some(5_000)), (None, None)];
    assert_eq!(left(&sim), expected);
    assert_eq!(left(&sim.restart().await), expected);
}
