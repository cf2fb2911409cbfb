//! Joining: what was staged for the transactions of a group becomes packs, durable before the group
//! is written, and used by nothing before the group is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use kvs_tree::Blobref;

use super::file::PackFile;
use super::format::Entry;
use super::scratch::Scratch;
use super::writer::PackBuilder;
use crate::blobs::{Joined, PackId, Staged, StoreError, Unused};
use crate::disk::{DiskError, FileCache};

/// The files of packs that were made for a group.
pub(super) struct Made {
    packs: Vec<(PackFile, Vec<Entry>)>,
    files: FileCache,
    dir: PathBuf,
    unused: Unused,
}

impl Made {
    fn joined(self) -> Joined {
        let ids = self.packs.iter().map(|(pack, _)| pack.id).collect();
        Joined::new(ids, Arc::clone(&self.unused), self)
    }

    /// The packs, for use.
    pub(super) fn take(mut self) -> Vec<(PackFile, Vec<Entry>)> {
        std::mem::take(&mut self.packs)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if !self.unused.load(Ordering::Relaxed) {
            return;
        }
        for (pack, _) in &self.packs {
            // What cannot be removed now is removed when the store is opened.
            let _ = self.files.disk().remove(&pack.path);
        }
        if !self.packs.is_empty() {
            let _ = self.files.disk().sync_dir(&self.dir);
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
    /// Makes the packs. Cost: writing what is not in a file of its own, one sync of that, one of
    /// the directory.
    ///
    /// # Errors
    /// Nothing of the packs is left; long scratch files are gone.
    pub(super) fn join(&self, staged: &[&Staged]) -> Result<Joined, StoreError> {
        let mut made = Made {
            packs: Vec::new(),
            files: self.files.clone(),
            dir: self.dir.to_path_buf(),
            unused: Arc::new(AtomicBool::new(true)),
        };
        if let Some(shared) = self.share(staged)? {
            let scratch = shared.set_aside(true)?;
            made.packs
                .push((scratch.take_over()?, scratch.entries.clone()));
        }
        let scratches = staged.iter().filter_map(|staged| staged.kept::<Scratch>());
        for scratch in scratches.filter(|scratch| scratch.whole) {
            made.packs
                .push((scratch.take_over()?, scratch.entries.clone()));
        }
        if !made.packs.is_empty() {
            let synced = self.files.disk().sync_dir(self.dir);
            synced.map_err(DiskError::at(self.dir, "sync"))?;
        }
        Ok(made.joined())
    }

    /// One pack of everything that has no file of its own; `None` if all of it is in packs.
    fn share(&self, staged: &[&Staged]) -> Result<Option<PackBuilder>, StoreError> {
        let mut shared = None;
        for staged in staged {
            for (blobref, bytes) in staged.memory() {
                self.add(&mut shared, blobref, bytes)?;
            }
            let Some(scratch) = staged.kept::<Scratch>().filter(|scratch| !scratch.whole) else {
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
