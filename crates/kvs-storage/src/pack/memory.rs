//! A blob store in memory, for tests of what stands above.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kvs_tree::Blobref;

use super::api::{BlobStore, PackInfo, PackWriter};
use super::error::{PackId, StoreError};
use super::join::Joined;
use super::staged::Staged;

/// Objects in memory. Cheap to clone; clones share the objects.
#[derive(Debug, Default, Clone)]
pub struct MemoryBlobStore {
    shared: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    newest: u32,
    packs: BTreeMap<PackId, HashMap<Blobref, Bytes>>,
}

impl MemoryBlobStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlobStore for MemoryBlobStore {
    fn get(&self, blobref: &Blobref) -> Result<Option<Bytes>, StoreError> {
        Ok(self
            .lock()
            .packs
            .values()
            .find_map(|pack| pack.get(blobref).cloned()))
    }

    fn place(&self, _: &Blobref) -> u64 {
        0
    }

    fn contains(&self, blobref: &Blobref) -> bool {
        self.lock()
            .packs
            .values()
            .any(|pack| pack.contains_key(blobref))
    }

    fn begin_pack(&self) -> Result<Box<dyn PackWriter>, StoreError> {
        Ok(Box::new(MemoryPack {
            store: self.clone(),
            objects: HashMap::new(),
            bytes: 0,
        }))
    }

    fn join(&self, staged: &[&Staged]) -> Result<Joined, StoreError> {
        let objects = staged.iter().flat_map(|staged| staged.memory());
        let pack = self.write_pack(&mut objects.cloned())?;
        Ok(Joined::used(pack.into_iter().collect()))
    }

    fn publish(&self, _: Joined) {}

    fn packs(&self) -> Vec<PackInfo> {
        let state = self.lock();
        let info = |(id, pack): (&PackId, &HashMap<Blobref, Bytes>)| PackInfo {
            id: *id,
            objects: pack.len() as u64,
            bytes: pack.values().map(|bytes| bytes.len() as u64).sum(),
        };
        state.packs.iter().map(info).collect()
    }

    fn remove(&self, pack: PackId) -> Result<(), StoreError> {
        self.lock().packs.remove(&pack);
        Ok(())
    }
}

struct MemoryPack {
    store: MemoryBlobStore,
    objects: HashMap<Blobref, Bytes>,
    bytes: u64,
}

impl PackWriter for MemoryPack {
    fn add(&mut self, blobref: &Blobref, bytes: &[u8]) -> Result<(), StoreError> {
        if !self.store.contains(blobref)
            && self
                .objects
                .insert(*blobref, Bytes::copy_from_slice(bytes))
                .is_none()
        {
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
        if self.objects.is_empty() {
            return Ok(None);
        }
        let mut state = self.store.lock();
        state.newest += 1;
        let id = PackId(state.newest);
        state.packs.insert(id, self.objects);
        Ok(Some(id))
    }
}
