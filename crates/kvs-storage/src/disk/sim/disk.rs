//! The simulated disk: shared state behind the traits of the seam, with controls for tests.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::api::{Disk, DiskFile, LockGuard};
use super::fault::{DiskFault, FaultPoint};
use super::log::World;
use super::state::State;

/// A simulated disk. Cheap to clone; clones share one disk.
#[derive(Debug, Clone)]
pub struct SimDisk {
    shared: Arc<Mutex<State>>,
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimDisk {
    /// Creates an empty disk that records its operations, so that crash images can be created.
    #[must_use]
    pub fn new() -> Self {
        Self::from_world(World::default(), true)
    }

    /// Creates an empty disk that records nothing, for long runs without crash images.
    #[must_use]
    pub fn unrecorded() -> Self {
        Self::from_world(World::default(), false)
    }

    pub(super) fn from_world(world: World, record: bool) -> Self {
        Self {
            shared: Arc::new(Mutex::new(State::new(world, record))),
        }
    }

    pub(super) fn lock_state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of operations recorded so far.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.lock_state().log().len()
    }

    /// Injects a fault into the `after`-th call at `point` from now (0: the next), once.
    pub fn fail(&self, point: FaultPoint, after: u64, fault: DiskFault) {
        self.lock_state().faults.plan(point, "", after, 1, fault);
    }

    /// Like [`fail`](Self::fail), but only for calls on paths that contain `part`, and for `times`
    /// consecutive calls.
    pub fn fail_on(&self, point: FaultPoint, part: &str, after: u64, times: u64, fault: DiskFault) {
        self.lock_state()
            .faults
            .plan(point, part, after, times, fault);
    }

    /// Removes all planned faults.
    pub fn clear_faults(&self) {
        self.lock_state().faults.clear();
    }

    /// Limits the total size of all files, in bytes; `None` removes the limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock_state().capacity = bytes;
    }

    /// Limits the number of open handles; `None` removes the limit.
    pub fn set_descriptors(&self, most: Option<usize>) {
        self.lock_state().descriptors = most;
    }

    /// Returns the number of open handles.
    #[must_use]
    pub fn open_files(&self) -> usize {
        self.lock_state().open
    }

    /// Returns the total size of all files, in bytes.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.lock_state().used()
    }

    /// Returns the number of bytes written and of `sync_data` calls so far.
    #[must_use]
    pub fn counters(&self) -> (u64, u64) {
        let state = self.lock_state();
        (state.written, state.syncs)
    }

    /// Returns the paths of all files, sorted.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.lock_state().names().cloned().collect()
    }

    /// Returns the content of a file.
    #[must_use]
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.lock_state();
        let inode = state.inode(path).ok()?;
        state.content(inode).map(<[u8]>::to_vec)
    }

    /// Corrupts a file silently by flipping the bits of `mask` in one byte. Returns whether that
    /// byte exists. Not recorded, so crash images do not contain the damage.
    pub fn flip(&self, path: &Path, offset: u64, mask: u8) -> bool {
        self.lock_state().flip(path, offset, mask)
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inode = self.lock_state().handle(|state| state.create(path))?;
        Ok(Arc::new(SimFile {
            disk: self.clone(),
            inode,
            path: path.to_path_buf(),
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inode = self.lock_state().handle(|state| state.open(path))?;
        Ok(Arc::new(SimFile {
            disk: self.clone(),
            inode,
            path: path.to_path_buf(),
        }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.lock_state().create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.lock_state().list(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.lock_state().exists(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.lock_state().rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.lock_state().remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.lock_state().remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.lock_state().sync_dir(path)
    }

    fn lock(&self, path: &Path, content: &str) -> io::Result<LockGuard> {
        let found = (path.to_path_buf(), self.lock_state().inode(path).ok());
        if self.lock_state().locks.contains(&found) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // As on a real disk, the content is best effort.
        if let Ok(file) = self.create(path) {
            let _ = file.write_at(content.as_bytes(), 0);
        }
        let inode = self.lock_state().inode(path).ok();
        let locked = (path.to_path_buf(), inode);
        self.lock_state().locks.insert(locked.clone());
        let held = Arc::new(Held {
            disk: self.clone(),
            locked,
        });
        let released = Arc::clone(&held);
        let check = move |_| {
            let (path, inode) = &held.locked;
            let found = held.disk.lock_state().inode(path);
            match found.is_ok_and(|found| Some(found) == *inode) {
                true => Ok(()),
                false => Err(io::ErrorKind::NotFound.into()),
            }
        };
        Ok(LockGuard::new(check).with_release(move || released.release()))
    }
}

#[derive(Debug)]
struct Held {
    disk: SimDisk,
    locked: (PathBuf, Option<usize>),
}

impl Held {
    fn release(&self) {
        self.disk.lock_state().locks.remove(&self.locked);
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: usize,
    path: PathBuf,
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.disk.lock_state().open -= 1;
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        self.disk
            .lock_state()
            .write(self.inode, &self.path, data, offset)
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk
            .lock_state()
            .read(self.inode, &self.path, out, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.lock_state().sync_data(self.inode, &self.path)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.disk.lock_state().allocate(self.inode, &self.path, len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.lock_state().set_len(self.inode, len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self
            .disk
            .lock_state()
            .content(self.inode)
            .map_or(0, |bytes| bytes.len() as u64))
    }
}
