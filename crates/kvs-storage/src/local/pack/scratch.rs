//! Scratch files: objects whose transaction is not accepted yet, in the format of a pack.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use kvs_tree::Blobref;

use super::file::{PackFile, Read};
use super::format::Entry;
use super::index::Place;
use crate::blobs::{Staged, StoreError};
use crate::disk::{DiskError, FileCache};

/// A file of objects under the temporary name of a pack.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) files: FileCache,
    pub(super) file: PackFile,
    /// The path that it gets as a pack.
    pub(super) path: PathBuf,
    /// Sorted as an index if `whole`, otherwise in order of offset.
    pub(super) entries: Vec<Entry>,
    /// Complete and synced: a pack except for its name.
    pub(super) whole: bool,
    pub(super) named: AtomicBool,
}

impl Scratch {
    /// Wraps the scratch file as staged objects.
    pub(super) fn staged(self) -> Staged {
        let bytes_to_copy = if self.whole { 0 } else { self.file.bytes };
        let scratch = Arc::new(self);
        let read = Arc::clone(&scratch);
        let get = move |blobref: &Blobref| {
            let found = read.entry(blobref);
            found.map(|entry| read.read(entry)).transpose()
        };
        Staged::elsewhere(scratch, bytes_to_copy, get)
    }

    fn entry(&self, blobref: &Blobref) -> Option<&Entry> {
        if !self.whole {
            return self.entries.iter().find(|entry| entry.blobref == *blobref);
        }
        let found = self
            .entries
            .binary_search_by_key(blobref, |entry| entry.blobref);
        self.entries.get(found.ok()?)
    }

    /// Reads one of the objects.
    pub(super) fn read(&self, entry: &Entry) -> Result<Bytes, StoreError> {
        let place = Place {
            pack: self.file.id,
            length: entry.length,
            offset: entry.offset,
        };
        match self.file.read_object(place, &entry.blobref)? {
            Read::Found(bytes) => Ok(bytes),
            Read::Other | Read::Damaged(_) => Err(StoreError::Corrupt {
                pack: self.file.id,
                blobref: entry.blobref,
                what: "it was staged as another".to_owned(),
            }),
        }
    }

    /// Renames the file to its pack name. Durable once the directory is synced.
    pub(super) fn take_over(&self) -> Result<PackFile, StoreError> {
        let temporary = &self.file.path;
        // Held open, so that concurrent readers are unaffected by the rename.
        self.file
            .file
            .hold()
            .map_err(DiskError::at(temporary, "open"))?;
        let renamed = self.files.disk().rename(temporary, &self.path);
        renamed.map_err(DiskError::at(&self.path, "rename to"))?;
        self.named.store(true, Ordering::Relaxed);
        Ok(PackFile {
            id: self.file.id,
            path: self.path.clone(),
            file: self.files.file(self.path.clone()),
            objects: self.file.objects,
            bytes: self.file.bytes,
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.named.load(Ordering::Relaxed) {
            // A file that cannot be removed now is removed when the store is opened.
            let _ = self.files.disk().remove(&self.file.path);
        }
    }
}
