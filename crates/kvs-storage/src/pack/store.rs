//! The packs of a store: one index over all of them, objects verified whenever they are read.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use kvs_tree::Blobref;

use super::api::{BlobStore, PackInfo, PackWriter};
use super::error::{PackId, StoreError};
use super::file::{PackFile, Read, file_name, parse_file_name};
use super::format::Entry;
use super::index::{Index, Place};
use super::join::{Joined, Joiner};
use super::staged::Staged;
use super::writer::{PackBuilder, TEMPORARY};
use crate::disk::{Disk, DiskError, DiskFile, FileCache};
use crate::env::Environment;
use crate::limits::{PACK_READ_BYTES, PACK_READ_GAP};

/// The packs of a store on disk. Cheap to clone; clones are the same store.
#[derive(Clone)]
pub struct PackStore {
    inner: Arc<Inner>,
}

struct Inner {
    files: FileCache,
    dir: PathBuf,
    newest: AtomicU32,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    index: Index,
    packs: BTreeMap<PackId, Arc<PackFile>>,
}

impl State {
    fn insert(&mut self, pack: PackFile, entries: &[Entry]) {
        self.index.reserve(entries.len());
        for Entry {
            blobref,
            length,
            offset,
        } in entries
        {
            let place = Place {
                pack: pack.id,
                length: *length,
                offset: *offset,
            };
            self.index.insert(blobref, place);
        }
        self.packs.insert(pack.id, Arc::new(pack));
    }
}

impl fmt::Debug for PackStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackStore")
            .field("dir", &self.inner.dir)
            .finish_non_exhaustive()
    }
}

impl PackStore {
    /// Opens the packs in `dir` (made if missing). All of `live` must be there and whole.
    ///
    /// Other whole packs are taken into use as well (and synced), since a journal record may need
    /// them: a large value written after the last manifest. Once the journal is replayed and a
    /// manifest lists what is needed, call [`remove_unlisted`](Self::remove_unlisted). Unfinished
    /// packs are removed. Cost: reading the indexes, 48 bytes an object.
    ///
    /// At most about `open_files` packs are kept open, however many there are.
    ///
    /// # Errors
    /// [`StoreError::MissingPack`] and [`StoreError::CorruptPack`] for packs of `live`, disk errors.
    pub fn open(
        env: &Environment,
        dir: &Path,
        live: &[PackId],
        open_files: usize,
    ) -> Result<Self, StoreError> {
        let files = FileCache::new(&env.disk, open_files);
        let disk = files.disk();
        disk.create_dir(dir).map_err(DiskError::at(dir, "make"))?;
        let mut state = State::default();
        let mut newest = live.iter().max().map_or(0, |id| id.0);
        for id in live {
            let (pack, entries) = PackFile::open(&files, &dir.join(file_name(*id)), *id)?;
            state.insert(pack, &entries);
        }
        for name in disk.list(dir).map_err(DiskError::at(dir, "list"))? {
            let path = dir.join(&name);
            let Some(id) = parse_file_name(&name) else {
                if name.ends_with(TEMPORARY) {
                    disk.remove(&path).map_err(DiskError::at(&path, "remove"))?;
                }
                continue;
            };
            newest = newest.max(id.0);
            if state.packs.contains_key(&id) {
                continue;
            }
            match PackFile::open(&files, &path, id) {
                Ok((pack, entries)) => {
                    pack.file
                        .sync_data()
                        .map_err(DiskError::at(&path, "sync"))?;
                    state.insert(pack, &entries);
                }
                Err(StoreError::CorruptPack { .. }) => {
                    disk.remove(&path).map_err(DiskError::at(&path, "remove"))?;
                }
                Err(error) => return Err(error),
            }
        }
        disk.sync_dir(dir).map_err(DiskError::at(dir, "sync"))?;
        let inner = Inner {
            files,
            dir: dir.to_path_buf(),
            newest: AtomicU32::new(newest),
            state: RwLock::new(state),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Removes all packs but those in `keep`, which a durable manifest lists. No pack may be under
    /// way.
    ///
    /// # Errors
    /// When the disk fails; the packs are out of use all the same.
    pub fn remove_unlisted(&self, keep: &[PackId]) -> Result<(), StoreError> {
        self.inner.remove_packs(|id| !keep.contains(&id))
    }
}

impl Inner {
    fn disk(&self) -> &dyn Disk {
        &**self.files.disk()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the object may be. No lock is held while it is read.
    fn candidates(&self, blobref: &Blobref) -> Vec<(Arc<PackFile>, Place)> {
        let state = self.read();
        let places = state.index.candidates(blobref);
        places
            .filter_map(|place| Some((Arc::clone(state.packs.get(&place.pack)?), place)))
            .collect()
    }

    fn get(&self, blobref: &Blobref) -> Result<Option<Bytes>, StoreError> {
        let mut damaged = None;
        for (pack, place) in self.candidates(blobref) {
            match pack.read_object(place, blobref)? {
                Read::Found(object) => return Ok(Some(object)),
                Read::Other => {}
                Read::Damaged(what) => {
                    damaged = Some(StoreError::Corrupt {
                        pack: pack.id,
                        blobref: *blobref,
                        what: what.to_owned(),
                    });
                }
            }
        }
        damaged.map_or(Ok(None), Err)
    }

    /// The objects, of which those that lie close behind one another are read at once.
    fn get_all(&self, blobrefs: &[Blobref]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let only = |blobref: &Blobref| {
            let mut candidates = self.candidates(blobref).into_iter();
            let only = candidates.next().filter(|_| candidates.len() == 0);
            only.map(|(pack, place)| (pack, (place, *blobref)))
        };
        let mut found = Vec::with_capacity(blobrefs.len());
        let mut rest = blobrefs;
        let mut next = rest.first().and_then(only);
        while let Some((first, others)) = rest.split_first() {
            rest = others;
            let Some((pack, begin)) = next.take() else {
                found.push(self.get(first)?);
                next = rest.first().and_then(only);
                continue;
            };
            let mut run = vec![begin];
            while let Some((blobref, others)) = rest.split_first() {
                next = only(blobref);
                let (last, from) = (
                    run.last().map_or(0, |(place, _)| place.end()),
                    begin.0.offset,
                );
                match &next {
                    Some((other, one))
                        if other.id == pack.id
                            && (last..=last + PACK_READ_GAP).contains(&one.0.offset)
                            && one.0.end() - from <= PACK_READ_BYTES =>
                    {
                        run.push(*one);
                    }
                    _ => break,
                }
                rest = others;
                next = None;
            }
            for (read, (_, blobref)) in pack.read_objects(&run)?.into_iter().zip(&run) {
                found.push(match read {
                    Read::Found(object) => Some(object),
                    // Says what is wrong with it.
                    Read::Other | Read::Damaged(_) => self.get(blobref)?,
                });
            }
        }
        Ok(found)
    }

    fn contains(&self, blobref: &Blobref) -> bool {
        let candidates = self.candidates(blobref);
        candidates
            .iter()
            .any(|(pack, place)| pack.names(*place, blobref))
    }

    fn remove_packs(&self, gone: impl Fn(PackId) -> bool) -> Result<(), StoreError> {
        let mut removed = Vec::new();
        {
            let mut state = self.write();
            state.packs.retain(|id, pack| {
                let goes = gone(*id);
                if goes {
                    removed.push(Arc::clone(pack));
                }
                !goes
            });
            if !removed.is_empty() {
                state.index.remove_packs(gone);
            }
        }
        for pack in &removed {
            self.disk()
                .remove(&pack.path)
                .map_err(DiskError::at(&pack.path, "remove"))?;
        }
        if !removed.is_empty() {
            self.disk()
                .sync_dir(&self.dir)
                .map_err(DiskError::at(&self.dir, "sync"))?;
        }
        Ok(())
    }

    fn next_id(&self) -> Result<PackId, StoreError> {
        let next = |newest: u32| newest.checked_add(1);
        let before = self
            .newest
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let before = before.map_err(|_| StoreError::Limit("pack ids are used up".to_owned()))?;
        Ok(PackId(before + 1))
    }
}

impl BlobStore for PackStore {
    fn get(&self, blobref: &Blobref) -> Result<Option<Bytes>, StoreError> {
        self.inner.get(blobref)
    }

    fn get_all(&self, blobrefs: &[Blobref]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.inner.get_all(blobrefs)
    }

    fn place(&self, blobref: &Blobref) -> u64 {
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
        let joiner = Joiner {
            files: &self.inner.files,
            dir: &self.inner.dir,
            next_id: &|| self.inner.next_id(),
            contains: &|blobref| self.inner.contains(blobref),
        };
        match joiner.join(staged) {
            // Written anew once, under another id.
            Err(StoreError::Disk(error)) => {
                tracing::warn!("a pack is written anew: {error}");
                joiner.join(staged)
            }
            other => other,
        }
    }

    fn publish(&self, joined: Joined) {
        let packs = joined.take();
        let mut state = self.inner.write();
        for (pack, entries) in packs {
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

    fn remove(&self, pack: PackId) -> Result<(), StoreError> {
        self.inner.remove_packs(|id| id == pack)
    }
}

/// A pack under way. The file is made with the first object, so that nothing new costs nothing.
struct Writer {
    store: Arc<Inner>,
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
            empty => {
                let id = self.store.next_id()?;
                let files = self.store.files.clone();
                empty.insert(PackBuilder::new(files, &self.store.dir, id)?)
            }
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
        Ok(Staged::in_scratch(scratch.transpose()?))
    }

    fn finish(self: Box<Self>) -> Result<Option<PackId>, StoreError> {
        let Some(builder) = self.builder else {
            return Ok(None);
        };
        let (pack, entries) = builder.finish()?;
        let id = pack.id;
        self.store.write().insert(pack, &entries);
        Ok(Some(id))
    }
}
