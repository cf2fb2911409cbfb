//! The reserve: disk space kept free so that a full disk still has room for a checkpoint, which
//! allows the journal to shrink and a stopping daemon to restart quickly.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::blobs::StoreError;
use crate::disk::DiskError;
use crate::env::Environment;
use crate::limits::{STAGING_SPACE_BYTES, STAGING_SPACE_STEP};

/// A file of fixed size that only occupies space.
#[derive(Clone)]
pub(super) struct Reserve {
    env: Environment,
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    /// Creates a reserve of `bytes` bytes in the store directory `dir`.
    pub(super) fn new(env: &Environment, dir: &std::path::Path, bytes: u64) -> Self {
        let (env, path) = (env.clone(), dir.join("reserve"));
        Self { env, path, bytes }
    }

    /// Allocates the space unless it is allocated. Best effort: a disk that is too full for a
    /// reserve is still usable.
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

    /// Releases the space; false if there was none.
    pub(super) fn release(&self) -> bool {
        self.env.disk.remove(&self.path).is_ok()
    }
}

/// Disk space for objects that will be copied into a pack when their transaction is accepted. The
/// stager claims it; if a pack then finds the disk full, the space is released for it.
pub(super) struct StagingSpace {
    env: Environment,
    path: PathBuf,
    /// Bytes currently reserved.
    kept: Mutex<u64>,
    claimed: Arc<AtomicU64>,
}

/// A share of the space, held until it is dropped.
#[derive(Debug)]
pub(super) struct Claim(Arc<AtomicU64>, u64);

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

impl StagingSpace {
    /// Starts without space. The file lies in the pack directory and is removed like an unfinished
    /// pack when the store is opened.
    pub(super) fn new(env: &Environment, packs: &Path) -> Self {
        Self {
            env: env.clone(),
            path: packs.join("space.tmp"),
            kept: Mutex::new(0),
            claimed: Arc::default(),
        }
    }

    /// Reserves `bytes` bytes, within the limit for the total.
    ///
    /// # Errors
    /// `NoSpace` if the disk is full.
    pub(super) fn claim(&self, bytes: u64) -> Result<Claim, StoreError> {
        // Half as much again, for indexes and other overhead.
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

    /// Releases the space; false if there was none.
    pub(super) fn release(&self) -> bool {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *kept) > 0 && self.env.disk.remove(&self.path).is_ok()
    }
}
