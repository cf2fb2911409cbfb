//! A simulated machine with a daemon on it: power cuts, restarts, and a disk that may lie about what it
//! has synced.

use std::io;
use std::path::Path;
use std::sync::Arc;

use kvs_engine::{
    At, CrashVariant, Disk, DiskFile, Engine, EngineConfig, EngineError, Environment, LockGuard,
    SimClock, SimDisk, SimEntropy,
};

use super::generate::one_of;
use super::history::Moment;
use crate::support::{NS, OWNER, Random};

/// A disk that says that the journal is synced and does not sync it: over it the engine fires before
/// what it tells is durable.
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

/// One life of a daemon.
pub(super) struct Machine {
    pub(super) engine: Engine,
    pub(super) disk: SimDisk,
    config: EngineConfig,
    seed: u64,
    lies: bool,
}

async fn start(
    config: &EngineConfig,
    disk: &SimDisk,
    seed: u64,
    lies: bool,
) -> Result<Engine, EngineError> {
    let env = Environment {
        disk: match lies {
            true => Arc::new(Liar(disk.clone())),
            false => Arc::new(disk.clone()),
        },
        clock: Arc::new(SimClock::new(1_700_000_000_000)),
        entropy: Arc::new(SimEntropy::new(seed)),
        inline: true,
    };
    Engine::open(config.clone(), env).await
}

impl Machine {
    pub(super) async fn new(config: EngineConfig, seed: u64, lies: bool) -> Self {
        let disk = SimDisk::new();
        Self {
            engine: start(&config, &disk, seed, lies).await.unwrap(),
            disk,
            config,
            seed,
            lies,
        }
    }

    pub(super) async fn newest(&self) -> u64 {
        version_of(&self.engine).await
    }

    /// The power goes once the disk has done `operations`, and comes back.
    pub(super) async fn cut(&mut self, operations: usize, random: &mut Random) {
        self.disk = self.disk.images_after(operations, some_variant(random));
        self.seed += 1;
        self.engine = start(&self.config, &self.disk, self.seed, self.lies)
            .await
            .unwrap();
    }

    /// The daemon stops cleanly and starts again.
    pub(super) async fn restart(&mut self) {
        self.engine.shutdown().await.unwrap();
        self.seed += 1;
        self.engine = start(&self.config, &self.disk, self.seed, self.lies)
            .await
            .unwrap();
    }

    /// For each moment, in their order, a version that a power cut just then would have left. Tried
    /// where a moment tells of a newer version than is known to be safe.
    pub(super) async fn safe(&self, moments: &[Moment], random: &mut Random) -> Vec<u64> {
        let mut points = self.disk.crash_points();
        let (mut safe, mut all) = (0, Vec::new());
        for moment in moments {
            if moment.version > safe {
                while points.operation() < moment.operations && points.advance() {}
                let image = points.image(some_variant(random));
                safe = match start(&self.config, &image, self.seed, false).await {
                    Ok(engine) => version_of(&engine).await,
                    Err(_) => 0,
                };
            }
            all.push(safe);
        }
        all
    }
}

async fn version_of(engine: &Engine) -> u64 {
    let view = engine.view(OWNER, NS, At::Current).await.unwrap();
    view.position().version
}

fn some_variant(random: &mut Random) -> CrashVariant {
    let seed = random.below(1 << 40);
    let torn = [CrashVariant::Torn(seed), CrashVariant::Mixed(seed)];
    one_of(
        random,
        &[CrashVariant::Lost, CrashVariant::Lost, torn[0], torn[1]],
    )
}
