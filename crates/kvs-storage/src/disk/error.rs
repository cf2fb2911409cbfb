//! The error type for file operations: the file, the action and the cause.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A failed disk operation. Cheap to clone, because one failure may be returned to many committers.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct DiskError {
    /// The file or directory concerned.
    pub path: PathBuf,
    /// The failed action, as a verb: "write", "sync", "preallocate", …
    pub action: &'static str,
    /// The error of the operating system.
    pub source: Arc<io::Error>,
}

/// A result with a [`DiskError`].
pub type DiskResult<T> = Result<T, DiskError>;

/// Returns whether the process or the system is out of file descriptors.
pub(super) fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE]
        .map(Errno::raw_os_error)
        .map(Some)
        .contains(&errno)
}

impl DiskError {
    /// Creates the error of a failed `action` on `path`.
    #[must_use]
    pub fn new(path: &Path, action: &'static str, source: io::Error) -> Self {
        Self {
            path: path.to_path_buf(),
            action,
            source: Arc::new(source),
        }
    }

    /// Returns a closure for `map_err` that adds the path and the action.
    pub fn at<'a>(path: &'a Path, action: &'static str) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::new(path, action, source)
    }

    /// Returns whether a resource ran out that may become available again: disk space, quota,
    /// descriptors or memory. The stored data is intact, and a retry may succeed later.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        self.is_disk_full()
            || is_out_of_descriptors(&self.source)
            || self.source.kind() == io::ErrorKind::OutOfMemory
    }

    /// Returns whether the disk or a quota is full, or the file has the maximum size.
    #[must_use]
    pub(crate) fn is_disk_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    }

    /// Returns whether the file or directory does not exist.
    #[must_use]
    pub(crate) fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}
