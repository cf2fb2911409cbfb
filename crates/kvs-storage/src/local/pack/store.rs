//! Implements the blob store trait with the packs on a local disk.

use std::fmt;
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use kvs_tree::Blobref;

use super::file::PackFile;
use super::join::Made;
use super::packs::Packs;
use super::pins::Pins;
use super::scratch::Scratch;
use super::writer::PackBuilder;
use crate::blobs::{
    BlobPin, BlobStore, Joined, PackId, PackInfo, PackWriter, SpaceClaim, Staged, StoreError,
};
use crate::disk::{DiskError, FileCache};
use crate::env::Environment;
use crate::local::present::Turns;
use crate::local::reserve::{Reserve, StagingSpace};
use crate::term::Term;

/// The packs of a store on disk. Cheap to clone; clones share one store.
#[derive(Clone)]
pub(crate) struct PackStore {
    inner: Arc<Packs>,
}

impl fmt::Debug for PackStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackStore")
            .field("dir", &self.inner.dir)
            .finish_non_exhaustive()
    }
}

impl PackStore {
    /// Opens the pack directory `dir` (created if missing); no pack is in use yet. At most about
    /// `open_files` packs are kept open.
    ///
    /// # Errors
    /// Disk errors.
    pub(crate) fn new(
        env: &Environment,
        dir: &Path,
        reserve: Reserve,
        term: Term,
        open_files: usize,
    ) -> Result<Self, StoreError> {
        let files = FileCache::new(&env.disk, open_files);
        let disk = files.disk();
        disk.create_dir(dir).map_err(DiskError::at(dir, "make"))?;
        let inner = Packs {
            files,
            dir: dir.to_path_buf(),
            newest: AtomicU32::new(0),
            pins: Pins::default(),
            term,
            reserve,
            space: StagingSpace::new(env, dir),
            state: RwLock::default(),
            turns: Turns::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Returns a function that checks that the packs still exist.
    pub(crate) fn check_files(&self) -> impl Fn() -> Result<(), DiskError> + use<> {
        // Weak, so that a check does not keep the files of closed packs open.
        let inner = Arc::downgrade(&self.inner);
        move || match inner.upgrade() {
            Some(inner) => inner.check_files(),
            None => Ok(()),
        }
    }
}

impl BlobStore for PackStore {
    fn get(&self, blobref: &Blobref) -> Result<Option<Bytes>, StoreError> {
        self.inner.get(blobref)
    }

    fn get_many(&self, blobrefs: &[Blobref]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.inner.get_many(blobrefs)
    }

    fn locality_hint(&self, blobref: &Blobref) -> u64 {
        let state = self.inner.read();
        let place = state.index.candidates(blobref).next();
        place.map_or(0, |place| u64::from(place.pack.0) << 40 | place.offset)
    }

    fn contains(&self, blobref: &Blobref) -> bool {
        self.inner.contains(blobref)
    }

    fn begin_pack(&self) -> Result<Box<dyn PackWriter>, StoreError> {
        Ok(Box::new(Writer {
            store: Arc::clone(&self.inner),
            builder: None,
            bytes: 0,
        }))
    }

    fn join(&self, staged: &[&Staged]) -> Result<Joined, StoreError> {
        match self.inner.join(staged) {
            Err(StoreError::NoSpace(error)) if self.inner.space.release() => {
                tracing::debug!("a pack takes the space that was set aside: {error}");
                self.inner.join(staged)
            }
            other => other,
        }
    }

    fn publish(&self, joined: Joined) {
        let made = joined.take::<Made>();
        let mut state = self.inner.write();
        for (pack, entries) in made.into_iter().flat_map(Made::take) {
            state.insert(pack, &entries);
        }
    }

    fn packs(&self) -> Vec<PackInfo> {
        let state = self.inner.read();
        let info = |pack: &Arc<PackFile>| PackInfo {
            id: pack.id,
            objects: pack.objects,
            bytes: pack.bytes,
        };
        state.packs.values().map(info).collect()
    }

    fn adopt(&self, packs: &[PackId]) -> Result<(), StoreError> {
        self.inner.adopt(packs)
    }

    fn retain(&self, packs: &[PackId]) -> Result<(), StoreError> {
        self.inner.remove_packs(|id| !packs.contains(&id))
    }

    fn delete(&self, pack: PackId) -> Result<(), StoreError> {
        self.inner.remove_packs(|id| id == pack)
    }

    fn copy_live(
        &self,
        objects: &mut dyn Iterator<Item = Blobref>,
    ) -> Result<Option<PackId>, StoreError> {
        let mut builder = None;
        for blobref in objects {
            let missing = || StoreError::Limit(format!("object {blobref} is not in the store"));
            let bytes = self.inner.get(&blobref)?.ok_or_else(missing)?;
            let builder = match &mut builder {
                Some(builder) => builder,
                empty => empty.insert(self.inner.builder()?),
            };
            builder.add(&blobref, &bytes)?;
        }
        builder
            .map(|builder| self.inner.finish(builder))
            .transpose()
    }

    fn pin(&self, objects: &[Blobref]) -> Option<BlobPin> {
        // Pinned before the check, so that nothing can be deleted in between.
        let packs = {
            let state = self.inner.read();
            let places = objects
                .iter()
                .flat_map(|object| state.index.candidates(object));
            self.inner
                .pins
                .pin(places.map(|place| place.pack).collect())
        };
        let all = objects.iter().all(|object| self.inner.contains(object));
        all.then(|| BlobPin::new(packs))
    }

    fn claim(&self, bytes: u64) -> Result<SpaceClaim, StoreError> {
        self.inner.space.claim(bytes).map(SpaceClaim::new)
    }

    fn relieve(&self) -> bool {
        self.inner.reserve.release()
    }

    fn hold_back(&self) {
        self.inner.reserve.keep();
    }
}

/// A pack in progress. The file is created with the first new object, so a pack without new objects
/// costs nothing.
struct Writer {
    store: Arc<Packs>,
    builder: Option<PackBuilder>,
    bytes: u64,
}

impl PackWriter for Writer {
    fn add(&mut self, blobref: &Blobref, bytes: &[u8]) -> Result<(), StoreError> {
        if self.store.contains(blobref) {
            return Ok(());
        }
        let builder = match &mut self.builder {
            Some(builder) => builder,
            empty => empty.insert(self.store.builder()?),
        };
        if builder.add(blobref, bytes)? {
            self.bytes += bytes.len() as u64;
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        match &mut self.builder {
            Some(builder) => builder.sync(),
            None => Ok(()),
        }
    }

    fn set_aside(self: Box<Self>, whole: bool) -> Result<Staged, StoreError> {
        let scratch = self.builder.map(|builder| builder.set_aside(whole));
        Ok(scratch
            .transpose()?
            .map(Scratch::staged)
            .unwrap_or_default())
    }

    fn finish(self: Box<Self>) -> Result<Option<PackId>, StoreError> {
        let Self { store, builder, .. } = *self;
        builder.map(|builder| store.finish(builder)).transpose()
    }
}
