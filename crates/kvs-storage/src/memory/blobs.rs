//! The blob store in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kvs_tree::Blobref;

use super::medium::{Area, Medium, Pack, Shared, lock};
use crate::blobs::{
    BlobPin, BlobStore, Joined, PackId, PackInfo, PackWriter, SpaceClaim, Staged, StoreError,
    Unused,
};

/// One owner's view of the packs.
#[derive(Debug, Default)]
struct Known {
    in_use: BTreeSet<PackId>,
    pins: BTreeMap<PackId, usize>,
}

/// The blobs of one owner. Cheap to clone; clones share one store.
#[derive(Clone)]
pub struct MemoryBlobStore {
    shared: Shared,
    area: Area,
    epoch: u64,
    known: Arc<Mutex<Known>>,
}

impl Default for MemoryBlobStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryBlobStore {
    /// Creates an empty, separate store.
    #[must_use]
    pub fn new() -> Self {
        let medium = Medium::new(0);
        Self::of(Arc::new(Mutex::new(medium)), Area::Trees)
    }

    /// Creates the blob store for the current owner.
    pub(super) fn of(shared: Shared, area: Area) -> Self {
        let epoch = lock(&shared).epoch.number;
        Self {
            shared,
            area,
            epoch,
            known: Arc::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the newest pack in use that contains the object.
    fn pack_of(&self, blobref: &Blobref) -> Option<PackId> {
        let known = self.known();
        let medium = lock(&self.shared);
        let mut packs = known.in_use.iter().rev();
        let holds = |id: &&PackId| {
            let pack = medium.packs(self.area).get(*id);
            pack.is_some_and(|pack| pack.contains_key(blobref))
        };
        packs.find(holds).copied()
    }

    /// Creates a pack that is durable but not in use.
    fn store(&self, objects: Pack) -> Result<Option<PackId>, StoreError> {
        if objects.is_empty() {
            return Ok(None);
        }
        let mut medium = lock(&self.shared);
        medium.fenced(self.epoch).map_err(StoreError::Fenced)?;
        medium.room()?;
        medium.newest_pack += 1;
        let id = PackId(medium.newest_pack);
        medium.packs_mut(self.area).insert(id, objects);
        Ok(Some(id))
    }

    fn remove(&self, gone: impl Fn(PackId) -> bool) -> Result<(), StoreError> {
        let mut known = self.known();
        if let Some(pack) = known.pins.keys().find(|id| gone(**id)) {
            return Err(StoreError::Pinned { pack: *pack });
        }
        let mut medium = lock(&self.shared);
        medium.fenced(self.epoch).map_err(StoreError::Fenced)?;
        known.in_use.retain(|id| !gone(*id));
        medium.packs_mut(self.area).retain(|id, _| !gone(*id));
        Ok(())
    }
}

impl BlobStore for MemoryBlobStore {
    fn get(&self, blobref: &Blobref) -> Result<Option<Bytes>, StoreError> {
        let Some(pack) = self.pack_of(blobref) else {
            return Ok(None);
        };
        let medium = lock(&self.shared);
        let found = medium
            .packs(self.area)
            .get(&pack)
            .and_then(|pack| pack.get(blobref));
        match found {
            Some(bytes) if Blobref::of(blobref.algorithm(), bytes) != *blobref => {
                Err(StoreError::Corrupt {
                    pack,
                    blobref: *blobref,
                    what: "its bytes do not have this hash".to_owned(),
                })
            }
            found => Ok(found.cloned()),
        }
    }

    fn locality_hint(&self, _: &Blobref) -> u64 {
        0
    }

    fn contains(&self, blobref: &Blobref) -> bool {
        self.pack_of(blobref).is_some()
    }

    fn begin_pack(&self) -> Result<Box<dyn PackWriter>, StoreError> {
        Ok(Box::new(MemoryPack {
            store: self.clone(),
            objects: Pack::new(),
            bytes: 0,
        }))
    }

    fn join(&self, staged: &[&Staged]) -> Result<Joined, StoreError> {
        let objects = staged.iter().flat_map(|staged| staged.memory());
        let new = objects.filter(|(blobref, _)| !self.contains(blobref));
        let pack = self.store(new.cloned().collect())?;
        let ids: Vec<PackId> = pack.into_iter().collect();
        let unused: Unused = Arc::new(AtomicBool::new(true));
        let made = Made {
            area: self.area,
            ids: ids.clone(),
            shared: self.shared.clone(),
            unused: unused.clone(),
        };
        Ok(Joined::new(ids, unused, made))
    }

    fn publish(&self, joined: Joined) {
        let made = joined.take::<Made>();
        let ids = made.iter().flat_map(|made| &made.ids);
        self.known().in_use.extend(ids);
    }

    fn packs(&self) -> Vec<PackInfo> {
        let known = self.known();
        let medium = lock(&self.shared);
        let packs = known.in_use.iter();
        let packs = packs.filter_map(|id| Some((id, medium.packs(self.area).get(id)?)));
        let info = |(id, pack): (&PackId, &Pack)| PackInfo {
            id: *id,
            objects: pack.len() as u64,
            bytes: pack.values().map(|bytes| bytes.len() as u64).sum(),
        };
        packs.map(info).collect()
    }

    fn adopt(&self, packs: &[PackId]) -> Result<(), StoreError> {
        let mut known = self.known();
        let medium = lock(&self.shared);
        for pack in packs {
            if !medium.packs(self.area).contains_key(pack) {
                return Err(StoreError::MissingPack {
                    pack: *pack,
                    place: "in memory".to_owned(),
                });
            }
        }
        known.in_use.extend(packs);
        Ok(())
    }

    fn retain(&self, packs: &[PackId]) -> Result<(), StoreError> {
        self.remove(|id| !packs.contains(&id))
    }

    fn delete(&self, pack: PackId) -> Result<(), StoreError> {
        self.remove(|id| id == pack)
    }

    fn copy_live(
        &self,
        objects: &mut dyn Iterator<Item = Blobref>,
    ) -> Result<Option<PackId>, StoreError> {
        let mut copied = Pack::new();
        for blobref in objects {
            let missing = || StoreError::Limit(format!("object {blobref} is not in the store"));
            copied.insert(blobref, self.get(&blobref)?.ok_or_else(missing)?);
        }
        let pack = self.store(copied)?;
        self.known().in_use.extend(pack);
        Ok(pack)
    }

    fn pin(&self, objects: &[Blobref]) -> Option<BlobPin> {
        let packs: Option<Vec<PackId>> = objects.iter().map(|one| self.pack_of(one)).collect();
        let packs = packs?;
        let mut known = self.known();
        if packs.iter().any(|pack| !known.in_use.contains(pack)) {
            return None;
        }
        for pack in &packs {
            *known.pins.entry(*pack).or_default() += 1;
        }
        let known = self.known.clone();
        Some(BlobPin::new(Pinned { known, packs }))
    }

    fn claim(&self, _: u64) -> Result<SpaceClaim, StoreError> {
        lock(&self.shared).room()?;
        Ok(SpaceClaim::new(()))
    }

    fn relieve(&self) -> bool {
        false
    }

    fn hold_back(&self) {}
}

struct Pinned {
    known: Arc<Mutex<Known>>,
    packs: Vec<PackId>,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for pack in &self.packs {
            let count = known.pins.entry(*pack).or_default();
            *count = count.saturating_sub(1);
            if *count == 0 {
                known.pins.remove(pack);
            }
        }
    }
}

/// Joined packs that are not in use.
struct Made {
    ids: Vec<PackId>,
    shared: Shared,
    area: Area,
    unused: Unused,
}

impl Drop for Made {
    fn drop(&mut self) {
        if self.unused.load(Ordering::Relaxed) {
            let mut medium = lock(&self.shared);
            medium
                .packs_mut(self.area)
                .retain(|id, _| !self.ids.contains(id));
        }
    }
}

struct MemoryPack {
    store: MemoryBlobStore,
    objects: Pack,
    bytes: u64,
}

impl PackWriter for MemoryPack {
    fn add(&mut self, blobref: &Blobref, bytes: &[u8]) -> Result<(), StoreError> {
        if self.store.contains(blobref) {
            return Ok(());
        }
        let object = Bytes::copy_from_slice(bytes);
        if self.objects.insert(*blobref, object).is_none() {
            self.bytes += bytes.len() as u64;
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn set_aside(self: Box<Self>, _: bool) -> Result<Staged, StoreError> {
        Ok(Staged::in_memory(self.objects.into_iter().collect()))
    }

    fn finish(self: Box<Self>) -> Result<Option<PackId>, StoreError> {
        let pack = self.store.store(self.objects)?;
        self.store.known().in_use.extend(pack);
        Ok(pack)
    }
}
