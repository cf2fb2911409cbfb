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

    /// Whether the disk (or the quota) was full: worth trying again when space returns.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }

    /// Whether the file or directory did not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}
