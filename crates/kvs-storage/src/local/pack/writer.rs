//! Writing a pack: objects are streamed into `<id>.tmp`, and only a complete, synced file gets the
//! name of a pack. A failure before that leaves nothing behind.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use kvs_tree::Blobref;

use super::file::{PackFile, file_name};
use super::format::{Entry, Footer, RECORD, encode_header, encode_index, encode_record};
use super::scratch::Scratch;
use crate::blobs::{PackId, StoreError};
use crate::disk::{DiskError, DiskFile, FileCache, write_all};
use crate::limits::{OBJECT_BYTES, PACK_BUFFER_BYTES, PACK_UNSYNCED_BYTES};

/// Name suffix of a file that is not a pack yet.
pub(super) const TEMPORARY: &str = ".tmp";

/// A pack file being written.
#[derive(Debug)]
pub(super) struct PackBuilder {
    files: FileCache,
    dir: PathBuf,
    temporary: PathBuf,
    pub(super) id: PackId,
    file: Arc<dyn DiskFile>,
    buffer: Vec<u8>,
    /// Bytes written before the buffer.
    written: u64,
    /// Bytes that are durable.
    synced: u64,
    checksum: u32,
    entries: Vec<Entry>,
    seen: HashSet<Blobref>,
    /// The temporary file still has to be removed.
    unfinished: bool,
}

impl PackBuilder {
    pub(super) fn new(files: FileCache, dir: &Path, id: PackId) -> Result<Self, StoreError> {
        let temporary = dir.join(format!("{id}{TEMPORARY}"));
        let file = files
            .disk()
            .create(&temporary)
            .map_err(DiskError::at(&temporary, "create"))?;
        Ok(Self {
            files,
            dir: dir.to_path_buf(),
            temporary,
            id,
            file,
            buffer: encode_header(id),
            written: 0,
            synced: 0,
            checksum: 0,
            entries: Vec::new(),
            seen: HashSet::new(),
            unfinished: true,
        })
    }

    /// Adds an object and returns true, or returns false if this pack already contains it.
    pub(super) fn add(&mut self, blobref: &Blobref, bytes: &[u8]) -> Result<bool, StoreError> {
        let length = u32::try_from(bytes.len())
            .ok()
            .filter(|_| bytes.len() <= OBJECT_BYTES);
        let length = length.ok_or_else(|| {
            let len = bytes.len();
            StoreError::Limit(format!(
                "an object of {len} bytes is over the limit of {OBJECT_BYTES}"
            ))
        })?;
        if !self.seen.insert(*blobref) {
            return Ok(false);
        }
        let offset = self.written + self.buffer.len() as u64;
        self.entries.push(Entry {
            blobref: *blobref,
            length,
            offset,
        });
        self.buffer.reserve(RECORD + bytes.len());
        encode_record(&mut self.buffer, blobref, length);
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PACK_BUFFER_BYTES {
            self.flush()?;
        }
        if self.written - self.synced >= PACK_UNSYNCED_BYTES {
            self.sync()?;
        }
        Ok(true)
    }

    /// Makes everything added so far durable.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        self.flush()?;
        self.file
            .sync_data()
            .map_err(DiskError::at(&self.temporary, "sync"))?;
        self.synced = self.written;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        write_all(&*self.file, &self.buffer, self.written)
            .map_err(DiskError::at(&self.temporary, "write"))?;
        self.checksum = crc32c::crc32c_append(self.checksum, &self.buffer);
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Ends writing. A `whole` file gets an index and is synced: it is then a pack except for its
    /// name.
    pub(super) fn set_aside(mut self, whole: bool) -> Result<Scratch, StoreError> {
        self.flush()?;
        let mut entries = std::mem::take(&mut self.entries);
        if whole {
            entries.sort_unstable_by_key(|entry| entry.blobref);
            let index = encode_index(&entries);
            let footer = Footer {
                id: self.id,
                index_at: self.written,
                objects: entries.len() as u64,
                objects_checksum: self.checksum,
                index_checksum: crc32c::crc32c(&index),
            };
            self.buffer = index;
            self.buffer.extend_from_slice(&footer.encode());
            self.flush()?;
            self.file
                .sync_data()
                .map_err(DiskError::at(&self.temporary, "sync"))?;
        }
        self.unfinished = false;
        let (files, temporary) = (self.files.clone(), self.temporary.clone());
        let file = PackFile {
            id: self.id,
            path: temporary.clone(),
            file: files.file(temporary),
            objects: entries.len() as u64,
            bytes: self.written,
        };
        Ok(Scratch {
            files,
            file,
            path: self.dir.join(file_name(self.id)),
            entries,
            whole,
            named: AtomicBool::new(false),
        })
    }

    /// Completes the pack and makes it durable, including its name.
    pub(super) fn finish(self) -> Result<(PackFile, Vec<Entry>), StoreError> {
        let (disk, dir) = (Arc::clone(self.files.disk()), self.dir.clone());
        let mut scratch = self.set_aside(true)?;
        let pack = scratch.take_over()?;
        if let Err(error) = disk.sync_dir(&dir) {
            // Abandoned: the caller may write it again under another id.
            let _ = disk.remove(&pack.path);
            return Err(DiskError::new(&dir, "sync", error).into());
        }
        Ok((pack, std::mem::take(&mut scratch.entries)))
    }
}

impl Drop for PackBuilder {
    fn drop(&mut self) {
        if self.unfinished {
            // A file that cannot be removed now is removed when the store is opened.
            let _ = self.files.disk().remove(&self.temporary);
        }
    }
}
