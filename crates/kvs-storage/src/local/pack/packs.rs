//! The packs in use, with one index over all of them. Objects are verified on every read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use kvs_tree::Blobref;

use super::file::{PackFile, Read, file_name, parse_file_name};
use super::format::Entry;
use super::index::{Index, Place};
use super::join::Joiner;
use super::pins::Pins;
use super::writer::{PackBuilder, TEMPORARY};
use crate::blobs::{Joined, PackId, Staged, StoreError};
use crate::disk::{Disk, DiskError, DiskFile, FileCache};
use crate::limits::{PACK_READ_BYTES, PACK_READ_GAP};
use crate::local::present::{Turns, first_missing, gone};
use crate::local::reserve::{Reserve, StagingSpace};
use crate::term::Term;

/// The packs of a store and the space reserved for more of them.
pub(super) struct Packs {
    pub(super) files: FileCache,
    pub(super) dir: PathBuf,
    pub(super) newest: AtomicU32,
    pub(super) pins: Pins,
    /// A deposed owner must not replace or delete the packs of its successor.
    pub(super) term: Term,
    /// Space for a checkpoint.
    pub(super) reserve: Reserve,
    /// Space for staged objects.
    pub(super) space: StagingSpace,
    pub(super) state: RwLock<State>,
    /// Selects the packs that the next check covers.
    pub(super) turns: Turns,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) index: Index,
    pub(super) packs: BTreeMap<PackId, Arc<PackFile>>,
}

impl State {
    pub(super) fn insert(&mut self, pack: PackFile, entries: &[Entry]) {
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

impl Packs {
    /// Takes the packs in `live` into use, which must exist and be intact, and all other intact
    /// packs. Removes unfinished packs. Cost: reading the indexes, 48 bytes an object.
    pub(super) fn adopt(&self, live: &[PackId]) -> Result<(), StoreError> {
        let (disk, dir) = (self.disk(), &self.dir);
        let mut found = State::default();
        let mut newest = live.iter().max().map_or(0, |id| id.0);
        for id in live {
            let (pack, entries) = PackFile::open(&self.files, &dir.join(file_name(*id)), *id)?;
            found.insert(pack, &entries);
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
            if found.packs.contains_key(&id) {
                continue;
            }
            match PackFile::open(&self.files, &path, id) {
                Ok((pack, entries)) => {
                    pack.file
                        .sync_data()
                        .map_err(DiskError::at(&path, "sync"))?;
                    found.insert(pack, &entries);
                }
                Err(StoreError::CorruptPack { .. }) => {
                    disk.remove(&path).map_err(DiskError::at(&path, "remove"))?;
                }
                Err(error) => return Err(error),
            }
        }
        disk.sync_dir(dir).map_err(DiskError::at(dir, "sync"))?;
        self.newest.fetch_max(newest, Ordering::Relaxed);
        *self.write() = found;
        Ok(())
    }

    /// Fails if the owner is deposed.
    fn check_owned(&self) -> Result<(), StoreError> {
        self.term.check(false).map_err(StoreError::Fenced)
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        &**self.files.disk()
    }

    /// Fails if a pack in use lost its name. Each call checks some of the packs.
    pub(super) fn check_files(&self) -> Result<(), DiskError> {
        let packs: Vec<Arc<PackFile>> = self
            .turns
            .next(self.read().packs.values())
            .into_iter()
            .cloned()
            .collect();
        let paths: Vec<PathBuf> = packs.iter().map(|pack| pack.path.clone()).collect();
        let Some(path) = first_missing(self.disk(), &paths) else {
            return Ok(());
        };
        // A pack goes out of use before its file is removed; then a missing file is expected.
        let in_use = self.read().packs.values().any(|pack| pack.path == path);
        if in_use { Err(gone(&path)) } else { Ok(()) }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the possible locations of an object. They are read without a lock.
    pub(super) fn candidates(&self, blobref: &Blobref) -> Vec<(Arc<PackFile>, Place)> {
        let state = self.read();
        let places = state.index.candidates(blobref);
        places
            .filter_map(|place| Some((Arc::clone(state.packs.get(&place.pack)?), place)))
            .collect()
    }

    pub(super) fn get(&self, blobref: &Blobref) -> Result<Option<Bytes>, StoreError> {
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

    /// Returns the objects. Those that are close together in a pack are read at once.
    pub(super) fn get_many(&self, blobrefs: &[Blobref]) -> Result<Vec<Option<Bytes>>, StoreError> {
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
                    // Reports the damage, or finds another copy.
                    Read::Other | Read::Damaged(_) => self.get(blobref)?,
                });
            }
        }
        Ok(found)
    }

    pub(super) fn contains(&self, blobref: &Blobref) -> bool {
        let candidates = self.candidates(blobref);
        candidates
            .iter()
            .any(|(pack, place)| pack.names(*place, blobref))
    }

    pub(super) fn remove_packs(&self, gone: impl Fn(PackId) -> bool) -> Result<(), StoreError> {
        self.check_owned()?;
        let mut removed = Vec::new();
        {
            let mut state = self.write();
            let mut packs = state.packs.keys().copied();
            if let Some(pack) = packs.find(|id| gone(*id) && self.pins.has(*id)) {
                return Err(StoreError::Pinned { pack });
            }
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

    pub(super) fn join(&self, staged: &[&Staged]) -> Result<Joined, StoreError> {
        self.check_owned()?;
        let joiner = Joiner {
            files: &self.files,
            dir: &self.dir,
            next_id: &|| self.next_id(),
            contains: &|blobref| self.contains(blobref),
        };
        match joiner.join(staged) {
            // Retried once, under another id.
            Err(StoreError::Disk(error)) => {
                tracing::warn!("a pack is written anew: {error}");
                joiner.join(staged)
            }
            other => other,
        }
    }

    pub(super) fn builder(&self) -> Result<PackBuilder, StoreError> {
        PackBuilder::new(self.files.clone(), &self.dir, self.next_id()?)
    }

    /// Completes a pack and takes it into use.
    pub(super) fn finish(&self, builder: PackBuilder) -> Result<PackId, StoreError> {
        self.check_owned()?;
        let (pack, entries) = builder.finish()?;
        let id = pack.id;
        self.write().insert(pack, &entries);
        Ok(id)
    }

    pub(super) fn next_id(&self) -> Result<PackId, StoreError> {
        let next = |newest: u32| newest.checked_add(1);
        let before = self
            .newest
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let before = before.map_err(|_| StoreError::Limit("pack ids are used up".to_owned()))?;
        Ok(PackId(before + 1))
    }
}
