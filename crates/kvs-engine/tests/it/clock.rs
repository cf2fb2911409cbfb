//! The wall clock is set by an hour or by years, in both directions: intervals, leases and ages are
//! not affected.

use std::sync::Arc;
use std::time::Duration;

use kvs_engine::{
    At, CrashVariant, DiskFault, Durability, Engine, EngineConfig, FaultPoint, SimClock, SimDisk,
};

use crate::support::*;

const NOW: u64 = 1_700_000_000_000;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const YEAR: u64 = 365 * 24 * HOUR;

/// Values that a clock showing `NOW` may be set to.
const SETTINGS: [u64; 5] = [NOW - HOUR, NOW + HOUR, NOW - YEAR, NOW + YEAR, 0];

/// A store with a clock that the test sets.
struct Clocked {
    sim: Sim,
    clock: Arc<SimClock>,
}

impl Clocked {
    async fn new(config: EngineConfig, disk: SimDisk) -> Self {
        let mut sim = Sim::with(config.clone(), disk).await;
        sim.engine.shutdown().await.unwrap();
        let clock = Arc::new(SimClock::new(NOW));
        sim.env.clock = clock.clone();
        sim.engine = Engine::open(config, sim.env.clone()).await.unwrap();
        Self { sim, clock }
    }

    /// Passes `ms` milliseconds, for timers and clocks alike.
    async fn pass(&self, ms: u64) {
        for _ in 0..ms / 50 {
            self.clock.advance(50);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.clock.advance(ms % 50);
        tokio::time::sleep(Duration::from_millis(ms % 50)).await;
    }

    /// Pins the current state.
    async fn pin(&self, lease_ms: u64) {
        let snapshot = self.sim.view(At::Current).await.snapshot();
        let pinned = self.sim.engine.pin(OWNER, snapshot, Some(lease_ms)).await;
        pinned.unwrap();
    }

    fn pins(&self) -> usize {
        self.sim.engine.pins(OWNER).len()
    }

    async fn oldest(&self) -> u64 {
        let page = self.sim.engine.log(OWNER, NS, 0, u64::MAX, &[], 1);
        page.await.unwrap().oldest
    }

    /// Commits enough for checkpoints.
    async fn work(&self) {
        for n in 0..300 {
            self.sim
                .put(&format!("d.k{}", n % 20), vec![b'x'; 100])
                .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn syncs_keep_their_interval() {
    for setting in SETTINGS {
        let mut config = config();
        config.durability = Durability::Interval;
        let disk = SimDisk::new();
        let world = Clocked::new(config.clone(), disk.clone()).await;
        world.sim.put("a", "1").await;
        world.pass(1_100).await;
        world.sim.put("a", "2").await;
        world.clock.set(setting);
        world.sim.put("a", "3").await;
        world.pass(1_100).await;
        let cut = disk.images_after(usize::MAX, CrashVariant::Lost);
        let sim = Sim::with(config, cut).await;
        assert_eq!(sim.get("a").await.unwrap(), "3", "set to {setting}");
    }
}

#[tokio::test(start_paused = true)]
async fn leases_end_neither_early_nor_late() {
    for setting in SETTINGS {
        let world = Clocked::new(config(), SimDisk::unrecorded()).await;
        world.pin(5_000).await;
        world.pass(1_000).await;
        world.clock.set(setting);
        world.sim.put("a", "1").await;
        world.pass(3_900).await;
        assert_eq!(world.pins(), 1, "set to {setting}");
        world.pass(200).await;
        assert_eq!(world.pins(), 0, "set to {setting}");
        // Pinned while the clock was wrong.
        world.pin(5_000).await;
        world.clock.set(NOW);
        world.pass(4_900).await;
        assert_eq!(world.pins(), 1, "set back from {setting}");
        world.pass(200).await;
        assert_eq!(world.pins(), 0, "set back from {setting}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_after_a_restart_ends_no_lease() {
    for setting in SETTINGS {
        let mut world = Clocked::new(config(), SimDisk::unrecorded()).await;
        world.pin(MINUTE).await;
        world.clock.set(setting);
        world.sim = world.sim.restart().await;
        world.sim.put("a", "1").await;
        world.pass(MINUTE - 1_000).await;
        assert_eq!(world.pins(), 1, "set to {setting}");
        world.pass(1_100).await;
        assert_eq!(world.pins(), 0, "set to {setting}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_ran_out_on_a_full_disk_is_released_when_there_is_space() {
    let world = Clocked::new(config(), SimDisk::unrecorded()).await;
    let disk = &world.sim.disk;
    world.pin(1_000).await;
    // Each append fails, and the write that undoes it succeeds.
    for nth in 0..100 {
        disk.fail_on(FaultPoint::Write, "journal", 2 * nth, 1, DiskFault::NoSpace);
    }
    world.pass(10_000).await;
    assert_eq!(world.pins(), 1, "its release cannot be written");
    disk.clear_faults();
    world.pass(1_100).await;
    assert_eq!(world.pins(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_found_no_space_is_tried_again_in_time() {
    let slots = |disk: &SimDisk| {
        ["/store/root.0", "/store/root.1"].map(|slot| disk.content(std::path::Path::new(slot)))
    };
    for setting in SETTINGS {
        let world = Clocked::new(trimming(10), SimDisk::unrecorded()).await;
        let disk = &world.sim.disk;
        let before = slots(disk);
        disk.fail_on(
            FaultPoint::Allocate,
            "root.",
            0,
            u64::MAX,
            DiskFault::NoSpace,
        );
        world.work().await;
        world.pass(5_000).await;
        assert!(slots(disk) == before);
        world.clock.set(setting);
        disk.clear_faults();
        world.pass(1_100).await;
        let after = slots(disk);
        assert!(before != after, "set to {setting}: no checkpoint was made");
    }
}

#[tokio::test(start_paused = true)]
async fn versions_are_retained_for_their_time_and_no_longer() {
    for setting in SETTINGS {
        let mut config = trimming(1);
        config.retention.time_ms = 60_000;
        let world = Clocked::new(config, SimDisk::unrecorded()).await;
        world.work().await;
        world.clock.set(setting);
        world.work().await;
        world.pass(30_000).await;
        world.work().await;
        assert_eq!(world.oldest().await, 1, "set to {setting}: too early");
        world.clock.set(NOW);
        world.pass(31_000).await;
        world.work().await;
        let oldest = world.oldest().await;
        assert!(oldest > 500, "set to {setting}: {oldest} is still there");
        assert!(oldest <= 600, "set to {setting}: {oldest} is the oldest");
    }
}
