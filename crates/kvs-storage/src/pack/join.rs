//! Joining: what was staged for the transactions of a group becomes packs, durable before the group is
//! written, and used by nothing before the group is.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use kvs_tree::Blobref;

use super::error::{PackId, StoreError};
use super::file::PackFile;
use super::format::Entry;
use super::staged::Staged;
use super::writer::PackBuilder;
use crate::disk::{DiskError, FileCache};

/// Durable packs that nothing uses yet: the group that registers them is not written. Dropped, they are
/// removed.
#[must_use = "dropping it removes the packs"]
#[derive(Debug)]
pub struct Joined {
    ids: Vec<PackId>,
    packs: Vec<(PackFile, Vec<Entry>)>,
    place: Option<(FileCache, PathBuf)>,
}

impl Joined {
    /// Packs that are in use already.
    pub(super) fn used(ids: Vec<PackId>) -> Self {
        Self {
            ids,
            packs: Vec::new(),
            place: None,
        }
    }

    /// The packs.
    pub fn ids(&self) -> &[PackId] {
        &self.ids
    }

    /// Leaves the files as they are, unused: whether the group was written is not known.
    pub fn leave(mut self) {
        self.packs.clear();
    }

    /// The packs, for use.
    pub(super) fn take(mut self) -> Vec<(PackFile, Vec<Entry>)> {
        std::mem::take(&mut self.packs)
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        let Some((files, dir)) = &self.place else {
            return;
        };
        for (pack, _) in &self.packs {
            // What cannot be removed now is removed when the store is opened.
            let _ = files.disk().remove(&pack.path);
        }
        if !self.packs.is_empty() {
            let _ = files.disk().sync_dir(dir);
        }
    }
}

/// Where packs are made.
pub(super) struct Joiner<'a> {
    pub(super) files: &'a FileCache,
    pub(super) dir: &'a Path,
    pub(super) next_id: &'a dyn Fn() -> Result<PackId, StoreError>,
    /// Whether a pack that is in use has the object.
    pub(super) contains: &'a dyn Fn(&Blobref) -> bool,
}

impl Joiner<'_> {
    /// Makes the packs. Cost: writing what is not in a file of its own, one sync of that, one of the
    /// directory.
    ///
    /// # Errors
    /// Nothing of the packs is left; long scratch files are gone.
    pub(super) fn join(&self, staged: &[&Staged]) -> Result<Joined, StoreError> {
        let mut joined = Joined {
            ids: Vec::new(),
            packs: Vec::new(),
            place: Some((self.files.clone(), self.dir.to_path_buf())),
        };
        if let Some(shared) = self.share(staged)? {
            let scratch = shared.set_aside(true)?;
            joined
                .packs
                .push((scratch.take_over()?, scratch.entries.clone()));
        }
        let scratches = staged.iter().filter_map(|staged| staged.scratch());
        for scratch in scratches.filter(|scratch| scratch.whole) {
            joined
                .packs
                .push((scratch.take_over()?, scratch.entries.clone()));
        }
        if !joined.packs.is_empty() {
            let synced = self.files.disk().sync_dir(self.dir);
            synced.map_err(DiskError::at(self.dir, "sync"))?;
        }
        joined.ids = joined.packs.iter().map(|(pack, _)| pack.id).collect();
        Ok(joined)
    }

    /// One pack of everything that has no file of its own; `None` if all of it is in packs.
    fn share(&self, staged: &[&Staged]) -> Result<Option<PackBuilder>, StoreError> {
        let mut shared = None;
        for staged in staged {
            for (blobref, bytes) in staged.memory() {
                self.add(&mut shared, blobref, bytes)?;
            }
            let Some(scratch) = staged.scratch().filter(|scratch| !scratch.whole) else {
                continue;
            };
            for entry in &scratch.entries {
                let bytes = scratch.read(entry)?;
                self.add(&mut shared, &entry.blobref, &bytes)?;
            }
        }
        Ok(shared)
    }

    fn add(
        &self,
        shared: &mut Option<PackBuilder>,
        blobref: &Blobref,
        bytes: &Bytes,
    ) -> Result<(), StoreError> {
        if (self.contains)(blobref) {
            return Ok(());
        }
        let builder = match shared {
            Some(builder) => builder,
            empty => {
                let id = (self.next_id)()?;
                empty.insert(PackBuilder::new(self.files.clone(), self.dir, id)?)
            }
        };
        builder.add(blobref, bytes).map(drop)
    }
}
