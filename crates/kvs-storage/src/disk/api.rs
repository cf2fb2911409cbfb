//! The two traits of the disk seam. They mirror pread, pwrite and fdatasync, for which the formats
//! are designed, and are small enough for a simulation to model every call.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A file system. Paths are used as given; a store passes paths below its own directory.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Creates a new empty file, open for reading and writing. An existing file is truncated. The
    /// name is durable only after `sync_dir` of the directory.
    ///
    /// # Errors
    /// As reported by the operating system.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// `NotFound` if the file does not exist.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Creates a directory and its missing parents, and syncs the directories that got a new entry.
    /// Succeeds if the directory exists.
    ///
    /// # Errors
    /// As reported by the operating system.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Returns the names in a directory, sorted.
    ///
    /// # Errors
    /// `NotFound` if the directory does not exist.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Returns whether the path exists.
    ///
    /// # Errors
    /// As reported by the operating system, except for "not found".
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Renames a file and replaces any file at `to`. Atomic; durable after `sync_dir`.
    ///
    /// # Errors
    /// As reported by the operating system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Durable after `sync_dir`.
    ///
    /// # Errors
    /// `NotFound` if the file does not exist.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// As reported by the operating system.
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes the names in a directory durable: all creations, renames and removals so far.
    ///
    /// # Errors
    /// After a failure any of these changes may be lost, even if a later call succeeds.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes an exclusive lock on the file, until the guard is dropped or the process ends. Creates
    /// the file if needed and writes `content` into it.
    ///
    /// # Errors
    /// `WouldBlock` if another process holds the lock.
    fn lock(&self, path: &Path, content: &str) -> io::Result<LockGuard>;
}

/// An open file. All calls are positional, so readers and a writer can share one handle.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Writes at `offset` with one call and returns the number of bytes written. It is short only
    /// if something is wrong, such as a full disk.
    ///
    /// # Errors
    /// The range then holds old bytes, new bytes, or a mixture.
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize>;

    /// Reads at `offset` until `out` is full or the file ends; returns the number of bytes read.
    ///
    /// # Errors
    /// As reported by the operating system.
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Makes the contents and the length durable, but not the name.
    ///
    /// # Errors
    /// After a failure any write since the last success may be lost, even if a later call succeeds.
    fn sync_data(&self) -> io::Result<()>;

    /// Reserves space for the first `len` bytes and extends the file to at least that length. New
    /// bytes read as zeros.
    ///
    /// # Errors
    /// `StorageFull` if there is no room; nothing needs to be undone except the file itself.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Truncates or extends the file to exactly `len` bytes.
    ///
    /// # Errors
    /// As reported by the operating system.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Returns the length in bytes.
    ///
    /// # Errors
    /// As reported by the operating system.
    fn len(&self) -> io::Result<u64>;

    /// Returns whether the file is empty.
    ///
    /// # Errors
    /// As reported by the operating system.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Holds a lock until it is dropped.
#[must_use = "the lock is released when this is dropped"]
pub struct LockGuard {
    check: Box<dyn Fn(bool) -> io::Result<()> + Send + Sync>,
    release: Option<Box<dyn Fn() + Send + Sync>>,
}

impl LockGuard {
    /// Creates a guard whose lock is released when `check` is dropped. `check` verifies that the
    /// locked file still exists.
    pub fn new(check: impl Fn(bool) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self {
            check: Box::new(check),
            release: None,
        }
    }

    /// Makes the guard call `release` when it is dropped.
    pub(crate) fn with_release(mut self, release: impl Fn() + Send + Sync + 'static) -> Self {
        self.release = Some(Box::new(release));
        self
    }

    /// Releases the lock now. [`check`](Self::check) still works afterwards.
    pub fn release(&self) {
        if let Some(release) = &self.release {
            release();
        }
    }

    /// Checks that the locked file still exists; with `thorough`, also that its path still leads to
    /// it. Cost: less than a microsecond, slightly more with `thorough`.
    ///
    /// # Errors
    /// `NotFound` if the file, and thus the store in its directory, was removed or replaced.
    pub fn check(&self, thorough: bool) -> io::Result<()> {
        (self.check)(thorough)
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        self.release();
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockGuard")
    }
}

/// Writes all of `data` with one call. A short write, as on a full disk, is the error
/// `StorageFull`.
///
/// # Errors
/// As [`DiskFile::write_at`].
pub(crate) fn write_all(file: &dyn DiskFile, data: &[u8], offset: u64) -> io::Result<()> {
    let written = file.write_at(data, offset)?;
    if written == data.len() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::StorageFull,
        format!("only {written} of {} bytes were taken", data.len()),
    ))
}
