//! The two traits of the disk seam. Shaped after pread/pwrite/fdatasync, because that is what the
//! formats are designed for; small, so that a simulation can model every call.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A file system. Paths are used as given; a store passes paths under its own directory.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes a new empty file, open for reading and writing. Its name is durable only after
    /// `sync_dir` of its directory. An existing file is truncated.
    ///
    /// # Errors
    /// As the operating system says.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Makes a directory and those above it that are missing, and syncs the directories that got a
    /// new entry. One that exists is fine.
    ///
    /// # Errors
    /// As the operating system says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, sorted.
    ///
    /// # Errors
    /// `NotFound` if there is no such directory.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Whether something exists under this path.
    ///
    /// # Errors
    /// As the operating system says (not for "there is none").
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Renames a file, replacing what stood at `to`. Atomic; durable after `sync_dir`.
    ///
    /// # Errors
    /// As the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Durable after `sync_dir`.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// As the operating system says.
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes the names in a directory durable: creations, renames and removals so far.
    ///
    /// # Errors
    /// A failure means that any of them may be lost, also if a later call succeeds.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes an exclusive lock on the file, making it if needed and writing `content` into it,
    /// until the guard is dropped or the process ends in whatever way.
    ///
    /// # Errors
    /// `WouldBlock` if another holds it.
    fn lock(&self, path: &Path, content: &str) -> io::Result<LockGuard>;
}

/// An open file. All calls are positional, so one handle serves readers and a writer.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Writes at `offset` with one call; returns how many bytes were taken, which is fewer than all
    /// only if something is wrong (a full disk).
    ///
    /// # Errors
    /// The range then holds old bytes, new bytes, or a mix.
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize>;

    /// Reads at `offset` until `out` is full or the file ends; returns how many bytes were read.
    ///
    /// # Errors
    /// As the operating system says.
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Makes the contents and the length durable, not the name.
    ///
    /// # Errors
    /// A failure means that any write since the last success may be lost, also if a later call
    /// succeeds.
    fn sync_data(&self) -> io::Result<()>;

    /// Reserves space for the first `len` bytes and makes the file at least that long; new bytes
    /// read as zeros.
    ///
    /// # Errors
    /// `StorageFull` if there is no room; nothing needs undoing but the file itself.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Makes the file exactly `len` bytes long.
    ///
    /// # Errors
    /// As the operating system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// As the operating system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// As the operating system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Holds a lock while it lives.
#[must_use = "the lock is released when this is dropped"]
pub struct LockGuard {
    check: Box<dyn Fn(bool) -> io::Result<()> + Send + Sync>,
    release: Option<Box<dyn Fn() + Send + Sync>>,
}

impl LockGuard {
    /// A guard that releases by dropping what `check` holds, which tells whether the locked file is
    /// still there.
    pub fn new(check: impl Fn(bool) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self {
            check: Box::new(check),
            release: None,
        }
    }

    /// The same guard, which calls `release` when it is dropped.
    pub(crate) fn with_release(mut self, release: impl Fn() + Send + Sync + 'static) -> Self {
        self.release = Some(Box::new(release));
        self
    }

    /// Releases the lock now, although the guard still answers [`check`](Self::check).
    pub fn release(&self) {
        if let Some(release) = &self.release {
            release();
        }
    }

    /// Whether the file that is locked is still there; with `thorough` also whether it is still
    /// what its path leads to. Cost: less than a microsecond, a little more if it is thorough.
    ///
    /// # Errors
    /// `NotFound` if it was removed or replaced, which the store in its directory then was, too.
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

/// Writes all of `data` with one call; a short write is an error (`StorageFull` if it took nothing
/// or only part, which is what a full disk does).
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
