//! The reserve: disk space that is set aside so that a full disk still has room for a checkpoint,
//! which lets the journal give space back and a stopping daemon leave a short restart.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::blobs::StoreError;
use crate::disk::DiskError;
use crate::env::Environment;
use crate::limits::{STAGING_SPACE_BYTES, STAGING_SPACE_STEP};

/// A file of a fixed size whose only content is the space it takes.
#[derive(Clone)]
pub(super) struct Reserve {
    env: Environment,
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    /// The reserve of `bytes` bytes in the store's directory `dir`.
    pub(super) fn new(env: &Environment, dir: &std::path::Path, bytes: u64) -> Self {
        let (env, path) = (env.clone(), dir.join("reserve"));
        Self { env, path, bytes }
    }

    /// Sets the space aside, unless it is. Best effort: a disk that is too full for a reserve can
    /// still be used.
    pub(super) fn keep(&self) {
        if let Err(error) = self.try_keep() {
            tracing::debug!("no space is set aside: {error}");
        }
    }

    fn try_keep(&self) -> io::Result<()> {
        let disk = &*self.env.disk;
        if disk.exists(&self.path)? && disk.open(&self.path)?.len()? >= self.bytes {
            return Ok(());
        }
        let allocated = disk.create(&self.path)?.allocate(self.bytes);
        if allocated.is_err() {
            disk.remove(&self.path)?;
        }
        allocated
    }

    /// Gives the space up; false if there was none.
    pub(super) fn release(&self) -> bool {
        self.env.disk.remove(&self.path).is_ok()
    }
}

/// Disk space for objects that will be copied to a pack when their transaction is accepted. Whoever
/// stages them claims it; when a pack finds the disk full, the space is given up for it.
pub(super) struct StagingSpace {
    env: Environment,
    path: PathBuf,
    /// Bytes that are set aside.
    kept: Mutex<u64>,
    claimed: Arc<AtomicU64>,
}

/// A part of the space, until it is dropped.
#[derive(Debug)]
pub(super) struct Claim(Arc<AtomicU64>, u64);

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

impl StagingSpace {
    /// No space yet. Its file lies in the directory of packs, and is removed like an unfinished one
    /// when the store is opened.
    pub(super) fn new(env: &Environment, packs: &Path) -> Self {
        Self {
            env: env.clone(),
            path: packs.join("space.tmp"),
            kept: Mutex::new(0),
            claimed: Arc::default(),
        }
    }

    /// Sets `bytes` aside, as far as there may be so much in all.
    ///
    /// # Errors
    /// `NoSpace` if the disk is full.
    pub(super) fn claim(&self, bytes: u64) -> Result<Claim, StoreError> {
        // Half as much again, for indexes and whatever else a file takes.
        let bytes = bytes + bytes / 2;
        let claimed = self.claimed.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let claim = Claim(Arc::clone(&self.claimed), bytes);
        let wanted = claimed
            .next_multiple_of(STAGING_SPACE_STEP)
            .min(STAGING_SPACE_BYTES);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if *kept < wanted {
            self.grow(wanted, *kept == 0)
                .map_err(DiskError::at(&self.path, "preallocate"))?;
            *kept = wanted;
        }
        Ok(claim)
    }

    fn grow(&self, to: u64, new: bool) -> io::Result<()> {
        let disk = &self.env.disk;
        let file = match new {
            true => disk.create(&self.path)?,
            false => disk.open(&self.path)?,
        };
        let allocated = file.allocate(to);
        if allocated.is_err() && new {
            let _ = disk.remove(&self.path);
        }
        allocated
    }

    /// Gives the space up; false if there was none.
    pub(super) fn release(&self) -> bool {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *kept) > 0 && self.env.disk.remove(&self.path).is_ok()
    }
}
