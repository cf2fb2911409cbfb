//! The operation log of a simulated disk, and the plain state that replaying it produces.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

/// A recorded operation. Files are identified by inode, so contents are independent of renames.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    Write {
        inode: usize,
        offset: u64,
        data: Bytes,
    },
    SetLen {
        inode: usize,
        len: u64,
    },
    Sync {
        inode: usize,
    },
    FailedSync {
        inode: usize,
    },
    Name(NameOperation),
    SyncDir {
        path: PathBuf,
    },
}

/// A change of names, durable once the directory is synced.
#[derive(Debug, Clone)]
pub(super) enum NameOperation {
    CreateDir {
        path: PathBuf,
    },
    Create {
        path: PathBuf,
        inode: usize,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
        inode: usize,
    },
    Remove {
        path: PathBuf,
        inode: usize,
    },
}

impl NameOperation {
    /// Returns the directory whose sync makes the operation durable.
    pub(super) fn dir(&self) -> &Path {
        let path = match self {
            Self::CreateDir { path } | Self::Create { path, .. } | Self::Remove { path, .. } => {
                path
            }
            Self::Rename { to, .. } => to,
        };
        parent(path)
    }
}

/// Returns the directory of a path; for a bare name, the empty path.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// File contents and names, as plain data.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    pub(super) inodes: BTreeMap<usize, Arc<Vec<u8>>>,
    pub(super) names: BTreeMap<PathBuf, usize>,
    pub(super) dirs: BTreeSet<PathBuf>,
}

impl World {
    /// Returns whether a directory exists. Roots always exist.
    pub(super) fn has_dir(&self, path: &Path) -> bool {
        path.parent().is_none() || self.dirs.contains(path)
    }

    /// Returns the bytes of a file, for modification.
    pub(super) fn bytes(&mut self, inode: usize) -> &mut Vec<u8> {
        Arc::make_mut(self.inodes.entry(inode).or_default())
    }

    pub(super) fn write(&mut self, inode: usize, offset: u64, data: &[u8]) {
        let Ok(start) = usize::try_from(offset) else {
            return;
        };
        let bytes = self.bytes(inode);
        let end = start + data.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        if let Some(range) = bytes.get_mut(start..end) {
            range.copy_from_slice(data);
        }
    }

    pub(super) fn set_len(&mut self, inode: usize, len: u64) {
        if let Ok(len) = usize::try_from(len) {
            self.bytes(inode).resize(len, 0);
        }
    }

    /// Applies an operation. Earlier operations may have been lost.
    pub(super) fn apply(&mut self, operation: &NameOperation) {
        match operation {
            NameOperation::CreateDir { path } => {
                self.dirs.insert(path.clone());
            }
            NameOperation::Create { path, inode } => {
                self.names.insert(path.clone(), *inode);
                self.inodes.entry(*inode).or_default();
            }
            NameOperation::Rename { from, to, inode } => {
                self.unname(from, *inode);
                self.names.insert(to.clone(), *inode);
                self.inodes.entry(*inode).or_default();
            }
            NameOperation::Remove { path, inode } => self.unname(path, *inode),
        }
    }

    fn unname(&mut self, path: &Path, inode: usize) {
        if self.names.get(path) == Some(&inode) {
            self.names.remove(path);
        }
    }
}
