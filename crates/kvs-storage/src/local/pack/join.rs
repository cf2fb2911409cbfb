//! Joining: writes the objects staged for the transactions of a group into packs. The packs are
//! durable before the group is written, and unused until then.

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

/// The pack files written for a group.
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

    /// Returns the packs, to be taken into use.
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
            // A file that cannot be removed now is removed when the store is opened.
            let _ = self.files.disk().remove(&pack.path);
        }
        if !self.packs.is_empty() {
            let _ = self.files.disk().sync_dir(&self.dir);
        }
    }
}

/// The context in which packs are written.
pub(super) struct Joiner<'a> {
    pub(super) files: &'a FileCache,
    pub(super) dir: &'a Path,
    pub(super) next_id: &'a dyn Fn() -> Result<PackId, StoreError>,
    /// Returns whether a pack in use contains the object.
    pub(super) contains: &'a dyn Fn(&Blobref) -> bool,
}

impl Joiner<'_> {
    /// Writes the packs. Cost: writing all objects without a file of their own, one sync of that
    /// pack, one sync of the directory.
    ///
    /// # Errors
    /// No packs are left; long scratch files are gone.
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

    /// Writes one pack with all objects without a file of their own; `None` if packs hold them all
    /// already.
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
