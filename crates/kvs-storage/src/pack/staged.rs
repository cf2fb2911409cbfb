//! Objects that are not in a pack yet, because nobody knows whether what needs them will be accepted.
//!
//! They are held in memory, or in a scratch file that is laid out as a pack. Once their transaction is
//! accepted they are *joined*: those of all transactions of a group go into one shared pack, a long
//! scratch file becomes a pack of its own by a rename. Dropped before that, they leave nothing.

use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use kvs_tree::Blobref;

use super::error::StoreError;
use super::file::{PackFile, Read};
use super::format::Entry;
use super::index::Place;
use crate::disk::{DiskError, FileCache};

/// Objects that wait to be joined. Dropping them leaves nothing behind.
#[derive(Default)]
pub struct Staged {
    memory: Vec<(Blobref, Bytes)>,
    scratch: Option<Scratch>,
    /// Dropped with the objects.
    _guard: Option<Box<dyn Any + Send + Sync>>,
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staged")
            .field("objects", &self.memory.len())
            .field("scratch", &self.scratch)
            .finish_non_exhaustive()
    }
}

impl Staged {
    /// Objects in memory.
    pub fn in_memory(memory: Vec<(Blobref, Bytes)>) -> Self {
        Self {
            memory,
            ..Self::default()
        }
    }

    pub(super) fn in_scratch(scratch: Option<Scratch>) -> Self {
        Self {
            scratch,
            ..Self::default()
        }
    }

    /// The same objects, and `guard` dropped with them.
    pub fn with(self, guard: impl Any + Send + Sync) -> Self {
        Self {
            _guard: Some(Box::new(guard)),
            ..self
        }
    }

    pub(super) fn memory(&self) -> &[(Blobref, Bytes)] {
        &self.memory
    }

    pub(super) fn scratch(&self) -> Option<&Scratch> {
        self.scratch.as_ref()
    }

    /// Bytes that joining them writes, about.
    pub fn bytes_to_copy(&self) -> u64 {
        let memory = self.memory.iter().map(|(_, bytes)| bytes.len() as u64);
        let scratch = self.scratch.as_ref().filter(|scratch| !scratch.whole);
        memory.sum::<u64>() + scratch.map_or(0, |scratch| scratch.file.bytes)
    }

    /// One of the objects, verified.
    ///
    /// # Errors
    /// As for an object in a pack.
    pub fn get(&self, blobref: &Blobref) -> Result<Option<Bytes>, StoreError> {
        let mut memory = self.memory.iter();
        if let Some((_, bytes)) = memory.find(|(found, _)| found == blobref) {
            return Ok(Some(bytes.clone()));
        }
        let Some(scratch) = &self.scratch else {
            return Ok(None);
        };
        let found = scratch.entry(blobref);
        found.map(|entry| scratch.read(entry)).transpose()
    }
}

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
