//! A simulated machine with a daemon: power cuts, restarts, and a disk that may lie about syncs.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use kvs_engine::memory::{MemoryStorage, Weather};
use kvs_engine::{
    At, CrashVariant, Disk, DiskFile, Durability, Engine, EngineConfig, EngineError, Environment,
    LockGuard, SimClock, SimDisk, SimEntropy,
};

use super::generate::one_of;
use super::history::Moment;
use super::lives::{LIFE, Lives, World, life};
use crate::support::{NS, OWNER, Random};

/// A disk that reports the journal as synced without syncing it, so that the engine delivers events
/// before they are durable.
#[derive(Debug)]
struct Liar(SimDisk);

#[derive(Debug)]
struct LyingFile(Arc<dyn DiskFile>);

impl Liar {
    fn file(path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        match path.to_string_lossy().contains("journal") {
            true => Arc::new(LyingFile(file)),
            false => file,
        }
    }
}

impl Disk for Liar {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Self::file(path, self.0.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Self::file(path, self.0.open(path)?))
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

impl DiskFile for LyingFile {
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(data, offset)
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(out, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
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

/// What keeps the store.
#[derive(Clone)]
pub(super) enum Medium {
    /// The simulated disk.
    Disk,
    /// The same, but it lies about syncs.
    LyingDisk,
    /// Memory on which answers are lost and appends arrive late. A new daemon fences the old one.
    Memory(MemoryStorage),
}

impl Medium {
    /// Memory in bad weather.
    pub(super) fn memory(seed: u64) -> Self {
        let storage = MemoryStorage::new(seed);
        storage.set_weather(Weather {
            answer_lost: 20,
            late: 20,
            lost: 25,
        });
        Self::Memory(storage)
    }
}

/// One run of a daemon.
pub(super) struct Machine {
    pub(super) engine: Engine,
    pub(super) disk: SimDisk,
    pub(super) lives: Lives,
    /// The namespaces that are shared with the guest.
    pub(super) shared: std::collections::BTreeSet<String>,
    config: EngineConfig,
    clock: Arc<SimClock>,
    seed: u64,
    medium: Medium,
    /// In the weaker modes, what a power cut must leave of each namespace.
    floor: BTreeMap<String, u64>,
}

async fn start(
    config: &EngineConfig,
    disk: &SimDisk,
    clock: &Arc<SimClock>,
    seed: u64,
    medium: &Medium,
) -> Result<Engine, EngineError> {
    let env = Environment {
        disk: match medium {
            Medium::LyingDisk => Arc::new(Liar(disk.clone())),
            Medium::Disk | Medium::Memory(_) => Arc::new(disk.clone()),
        },
        clock: clock.clone(),
        entropy: Arc::new(SimEntropy::new(seed)),
        inline: true,
    };
    match medium {
        Medium::Memory(storage) => {
            Engine::open_on(Arc::new(storage.clone()), config.clone(), env).await
        }
        Medium::Disk | Medium::LyingDisk => Engine::open(config.clone(), env).await,
    }
}

impl Machine {
    pub(super) async fn new(config: EngineConfig, seed: u64, medium: Medium) -> Self {
        let disk = SimDisk::new();
        let clock = Arc::new(SimClock::new(1_700_000_000_000));
        let mut machine = Self {
            engine: start(&config, &disk, &clock, seed, &medium).await.unwrap(),
            disk,
            lives: Lives::default(),
            shared: Default::default(),
            config,
            clock,
            seed,
            medium,
            floor: BTreeMap::new(),
        };
        machine.meet();
        machine
    }

    /// Whether the image that a power cut would leave can be examined without one.
    pub(super) fn has_images(&self) -> bool {
        !matches!(self.medium, Medium::Memory(_))
    }

    /// Whether a power cut may lose what was delivered.
    pub(super) fn is_weak(&self) -> bool {
        self.config.durability != Durability::Commit
    }

    /// Waits until all watches concerned by published versions are woken: the matcher has a slice
    /// whenever other tasks have had their turn.
    pub(super) async fn matched(&self) {
        let mut before = None;
        loop {
            let counts = self.engine.match_counts();
            if before == Some(counts) {
                return;
            }
            before = Some(counts);
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
        }
    }

    pub(super) fn world(&self) -> Rc<World> {
        Rc::new(World {
            newest: self.indexes(&self.engine),
            shared: self.shared.clone(),
        })
    }

    fn indexes(&self, engine: &Engine) -> BTreeMap<String, u64> {
        let all = engine.namespaces(OWNER).into_iter();
        let known = all.filter(|info| self.lives.knows(&info.name, info.position.incarnation));
        known
            .map(|info| {
                let index = self.lives.index(&info.name, info.position);
                (info.name.to_string(), index)
            })
            .collect()
    }

    /// The newest index of a namespace, if it exists.
    pub(super) fn newest(&self, name: &str) -> Option<u64> {
        self.world().newest.get(name).copied()
    }

    /// Records namespaces that were just created.
    pub(super) fn meet(&mut self) {
        for info in self.engine.namespaces(OWNER) {
            let incarnation = info.position.incarnation;
            if !self.lives.knows(&info.name, incarnation) {
                assert_eq!(info.position.version, 0, "it is new");
                self.lives.born(&info.name, incarnation, None);
            }
        }
    }

    /// Syncs, so that everything so far is on the disk.
    pub(super) async fn sync(&mut self) {
        let world = self.world();
        self.engine.sync(OWNER).await.unwrap();
        self.floor = world.newest.clone();
    }

    /// Passes enough time for a daemon that syncs at an interval to sync.
    pub(super) async fn wait(&mut self) {
        let world = self.world();
        self.clock.advance(3_000);
        tokio::time::sleep(Duration::from_secs(3)).await;
        if self.config.durability == Durability::Interval {
            self.floor = world.newest.clone();
        }
    }

    async fn start(&mut self) {
        self.seed += 1;
        let (config, disk, clock) = (&self.config, &self.disk, &self.clock);
        let engine = start(config, disk, clock, self.seed, &self.medium).await;
        self.engine = engine.unwrap();
    }

    /// Cuts the power once the disk has done `operations`, and restores it.
    pub(super) async fn cut(&mut self, operations: usize, random: &mut Random) {
        let before: Vec<String> = self.world().newest.keys().cloned().collect();
        if self.has_images() {
            self.disk = self.disk.images_after(operations, some_variant(random));
        }
        // Memory is taken over from a daemon that still runs and learns that it is deposed.
        let old = self.engine.clone();
        if !self.has_images() {
            self.clock.advance(10);
        }
        self.start().await;
        if !self.has_images() {
            let answer = old.view(OWNER, NS, At::Current).await;
            assert!(answer.is_err(), "a deposed owner answers a read");
        }
        drop(old);
        let infos = self.engine.namespaces(OWNER);
        let names: Vec<String> = infos.iter().map(|info| info.name.to_string()).collect();
        assert_eq!(names, before, "namespaces are as they were");
        for info in infos {
            let (name, position) = (&*info.name, info.position);
            let same = self.lives.knows(name, position.incarnation);
            assert_eq!(same, !self.is_weak(), "{name} lives on, or anew");
            if same {
                continue;
            }
            let old = self.lives.last(name) * LIFE + position.version;
            let floor = self.floor.get(name).copied().unwrap_or(0);
            let kept = life(floor) < life(old) || floor <= old;
            assert!(kept, "{name} is back at {old}, {floor} was synced");
            let root = info.root;
            self.lives
                .born(name, position.incarnation, Some((old, root)));
        }
        self.floor = self.world().newest.clone();
        self.check().await;
    }

    /// Checks that a copy that replays the journal arrives at the state of this store.
    pub(super) async fn check(&self) {
        self.engine.check_state(OWNER).await.unwrap();
    }

    /// Stops the daemon cleanly and starts it again.
    pub(super) async fn restart(&mut self) {
        let state = self.engine.check_state(OWNER).await.unwrap();
        self.engine.shutdown().await.unwrap();
        let before = self.world();
        self.start().await;
        let after = self.engine.check_state(OWNER).await.unwrap();
        assert_eq!(after, state, "recovery arrives at another state");
        assert_eq!(self.world(), before, "a clean stop loses nothing");
    }

    /// For each moment, in order, a version that a power cut just then would have left. Tried where
    /// a moment delivers a newer version than is known to be safe.
    pub(super) async fn safe(&self, moments: &[Moment], random: &mut Random) -> Vec<u64> {
        let mut points = self.disk.crash_points();
        let (mut safe, mut all) = (BTreeMap::new(), Vec::new());
        for moment in moments {
            if safe.get(&moment.namespace) < Some(&moment.version) {
                while points.operation() < moment.operations && points.advance() {}
                let image = points.image(some_variant(random));
                let started =
                    start(&self.config, &image, &self.clock, self.seed, &Medium::Disk).await;
                safe = started.map_or_else(|_| BTreeMap::new(), |engine| self.indexes(&engine));
            }
            let left = safe.get(&moment.namespace).copied();
            // If the removal of a namespace is on the disk, what was delivered of it existed until
            // then.
            let gone = safe.contains_key(NS) && left.is_none();
            all.push(if gone { u64::MAX } else { left.unwrap_or(0) });
        }
        all
    }
}

fn some_variant(random: &mut Random) -> CrashVariant {
    let seed = random.below(1 << 40);
    let torn = [CrashVariant::Torn(seed), CrashVariant::Mixed(seed)];
    one_of(
        random,
        &[CrashVariant::Lost, CrashVariant::Lost, torn[0], torn[1]],
    )
}
