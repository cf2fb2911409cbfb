//! A scratch file: objects whose transaction is not accepted yet, laid out as a pack.

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

/// A file of objects under the name of an unfinished pack.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) files: FileCache,
    pub(super) file: PackFile,
    /// The name that it gets as a pack.
    pub(super) path: PathBuf,
    /// Sorted as an index if it is `whole`, else as they lie.
    pub(super) entries: Vec<Entry>,
    /// It is a pack, synced, but for its name.
    pub(super) whole: bool,
    pub(super) named: AtomicBool,
}

impl Scratch {
    /// The scratch file as something that is staged.
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

    /// Reads one of its objects.
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

    /// Gives it the name of a pack. Durable when the directory is synced.
    pub(super) fn take_over(&self) -> Result<PackFile, StoreError> {
        let temporary = &self.file.path;
        // Those who read it meanwhile find it under either name.
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
            // What cannot be removed now is removed when the store is opened.
            let _ = self.files.disk().remove(&self.file.path);
        }
    }
}
