//! A bounded cache of open files: a store has more files than a process may have open.
//!
//! A [`CachedFile`] opens its file on first use and keeps it open until its slot in the cache is
//! needed. A file that is being written is *held*: it stays open until it is synced and released,
//! because a writeback error is reported only to handles that were open at that time.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, UnitWeighter};

use super::api::{Disk, DiskFile};
use super::error::is_out_of_descriptors;

type Open = Cache<u64, Arc<dyn DiskFile>>;

/// A bounded number of files open for reading. Clones share the cache.
#[derive(Clone)]
pub(crate) struct FileCache {
    disk: Arc<dyn Disk>,
    open: Arc<Open>,
    next: Arc<AtomicU64>,
}

impl fmt::Debug for FileCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileCache")
            .field("most", &self.open.capacity())
            .finish_non_exhaustive()
    }
}

impl FileCache {
    /// Creates a cache that keeps at most `most` files open, at least one. Each reader can have one
    /// more open while it reads.
    pub(crate) fn new(disk: &Arc<dyn Disk>, most: usize) -> Self {
        let most = most.max(1);
        // One shard, so that the bound is exact.
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(most)
            .weight_capacity(most as u64)
            .build();
        let open = match options {
            Ok(options) => Open::with_options(
                options,
                UnitWeighter,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            Err(_) => Open::new(most),
        };
        Self {
            disk: Arc::clone(disk),
            open: Arc::new(open),
            next: Arc::default(),
        }
    }

    /// The disk that holds the files.
    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Returns the file at `path`, opened on first use.
    pub(crate) fn file(&self, path: PathBuf) -> CachedFile {
        CachedFile {
            cache: self.clone(),
            key: self.next.fetch_add(1, Ordering::Relaxed),
            path,
            held: RwLock::new(None),
        }
    }

    /// Wraps a file that is already open and stays open until it is released. Later it is opened
    /// again at `path`.
    pub(crate) fn held(&self, path: PathBuf, file: Arc<dyn DiskFile>) -> CachedFile {
        let cached = self.file(path);
        cached.set_held(Some(file));
        cached
    }
}

/// A file that is opened on use and closed when this is dropped.
pub(crate) struct CachedFile {
    cache: FileCache,
    key: u64,
    path: PathBuf,
    held: RwLock<Option<Arc<dyn DiskFile>>>,
}

impl fmt::Debug for CachedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CachedFile").field(&self.path).finish()
    }
}

impl Drop for CachedFile {
    fn drop(&mut self) {
        self.cache.open.remove(&self.key);
    }
}

impl CachedFile {
    /// Keeps the file open from now on, even if it is renamed.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(crate) fn hold(&self) -> io::Result<()> {
        let file = self.file()?;
        self.set_held(Some(file));
        Ok(())
    }

    /// Allows the file to be closed. Everything written must be synced.
    pub(crate) fn release(&self) {
        self.set_held(None);
    }

    fn set_held(&self, file: Option<Arc<dyn DiskFile>>) {
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = file;
    }

    fn file(&self) -> io::Result<Arc<dyn DiskFile>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*held {
            return Ok(Arc::clone(file));
        }
        drop(held);
        let FileCache { disk, open, .. } = &self.cache;
        if let Some(file) = open.get(&self.key) {
            return Ok(file);
        }
        let file = match disk.open(&self.path) {
            Err(error) if is_out_of_descriptors(&error) => {
                // Close the files that are open only for speed, then retry.
                open.clear();
                disk.open(&self.path)?
            }
            other => other?,
        };
        open.insert(self.key, Arc::clone(&file));
        Ok(file)
    }
}

impl DiskFile for CachedFile {
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        self.file()?.write_at(data, offset)
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file()?.read_at(out, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file()?.sync_data()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file()?.allocate(len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file()?.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file()?.len()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::disk::SimDisk;

    fn files(disk: &SimDisk, most: usize, count: usize) -> Vec<CachedFile> {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let cache = FileCache::new(&shared, most);
        let path = |number: usize| PathBuf::from(format!("/f{number}"));
        for number in 0..count {
            let file = disk.create(&path(number)).unwrap();
            file.write_at(&[number as u8], 0).unwrap();
        }
        (0..count).map(|number| cache.file(path(number))).collect()
    }

    fn read(file: &CachedFile) -> u8 {
        let mut byte = [0];
        file.read_at(&mut byte, 0).unwrap();
        byte[0]
    }

    #[test]
    fn many_files_are_read_through_few_that_are_open() {
        let disk = SimDisk::new();
        let files = files(&disk, 3, 50);
        for round in 0..3 {
            for (number, file) in files.iter().enumerate() {
                assert_eq!(read(file) as usize, number, "round {round}");
                assert!(disk.open_files() <= 3);
            }
        }
        drop(files);
        assert_eq!(disk.open_files(), 0);
    }

    #[test]
    fn a_held_file_stays_open_and_can_be_renamed() {
        let disk = SimDisk::new();
        let files = files(&disk, 1, 3);
        files[0].hold().unwrap();
        disk.rename(Path::new("/f0"), Path::new("/g")).unwrap();
        assert_eq!(
            (read(&files[1]), read(&files[2]), read(&files[0])),
            (1, 2, 0)
        );
        assert_eq!(disk.open_files(), 2);
        files[0].release();
        read(&files[1]);
        let missing = files[0].len().unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn files_that_are_kept_open_make_way_when_descriptors_run_out() {
        let disk = SimDisk::new();
        let files = files(&disk, 8, 20);
        disk.set_descriptors(Some(5));
        for file in files.iter().chain(&files) {
            read(file);
            assert!(disk.open_files() <= 5);
        }
    }
}
