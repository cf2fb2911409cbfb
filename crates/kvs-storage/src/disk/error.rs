//! The error of everything that touches files: which file, what was tried, and how it failed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A failed disk operation. Cheap to clone, since one failure may answer many committers.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct DiskError {
    /// The file or directory.
    pub path: PathBuf,
    /// The verb: "write", "sync", "preallocate", …
    pub action: &'static str,
    /// What the operating system said.
    pub source: Arc<io::Error>,
}

/// Shorthand of this module's users.
pub type DiskResult<T> = Result<T, DiskError>;

/// Whether the process, or the system, has no descriptor left for another file.
pub(super) fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE]
        .map(Errno::raw_os_error)
        .map(Some)
        .contains(&errno)
}

impl DiskError {
    /// The error of `action` on `path`.
    #[must_use]
    pub fn new(path: &Path, action: &'static str, source: io::Error) -> Self {
        Self {
            path: path.to_path_buf(),
            action,
            source: Arc::new(source),
        }
    }

    /// For `map_err`: names the path and the verb.
    pub fn at<'a>(path: &'a Path, action: &'static str) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::new(path, action, source)
    }

    /// Whether something has run out that may come back: space on the disk, a quota, descriptors,
    /// memory. Nothing is wrong with what is stored; trying again later may succeed.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        self.is_disk_full()
            || is_out_of_descriptors(&self.source)
            || self.source.kind() == io::ErrorKind::OutOfMemory
    }

    /// Whether the disk or a quota was full, or the file as long as files may be.
    #[must_use]
    pub(crate) fn is_disk_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    }

    /// Whether the file or directory did not exist.
    #[must_use]
    pub(crate) fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}
