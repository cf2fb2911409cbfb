//! The operating system's files: pread, pwrite, fdatasync, fallocate, flock. Without O_DIRECT:
//! journal and packs are read soon after they are written, and the page cache serves these reads.

use std::collections::BTreeMap;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::api::{Disk, DiskFile, LockGuard};

/// The real file system. Every directory passed to `create_dir` stays open, so that it can be
/// synced even when the process is out of file descriptors.
#[derive(Debug, Default)]
pub struct RealDisk {
    dirs: Mutex<BTreeMap<PathBuf, Arc<File>>>,
}

impl RealDisk {
    fn dirs(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Arc<File>>> {
        self.dirs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Creates a directory and its missing parents, durably.
fn make_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_dir(parent)?;
    }
    match std::fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        result => result?,
    }
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[derive(Debug)]
struct RealFile(File);

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        make_dir(path)?;
        let dir = Arc::new(File::open(path)?);
        self.dirs().insert(path.to_path_buf(), dir);
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path)? {
            // Not one of our files: its name is not UTF-8.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.dirs().remove(path);
        std::fs::remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let held = self.dirs().get(path).cloned();
        let Some(dir) = held else {
            return File::open(path)?.sync_all();
        };
        if dir.metadata()?.nlink() == 0 {
            let message = "the directory was removed";
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        dir.sync_all()
    }

    fn lock(&self, path: &Path, content: &str) -> io::Result<LockGuard> {
        // Not truncated on opening: the content belongs to the holder until we have the lock.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Best effort: on a full disk the lock still works, but its holder is not named.
        let _ = file
            .set_len(0)
            .and_then(|()| file.write_all_at(content.as_bytes(), 0));
        let path = path.to_path_buf();
        let file = Arc::new(file);
        let locked = Arc::clone(&file);
        let check = move |thorough: bool| {
            let ours = file.metadata()?;
            let is_ours = |found: Metadata| (found.dev(), found.ino()) == (ours.dev(), ours.ino());
            if ours.nlink() > 0 && (!thorough || is_ours(std::fs::metadata(&path)?)) {
                return Ok(());
            }
            Err(io::Error::new(
                io::ErrorKind::NotFound,
                "it was removed or replaced",
            ))
        };
        // Closing the file releases the lock in any case.
        Ok(LockGuard::new(check).with_release(move || drop(locked.unlock())))
    }
}

impl DiskFile for RealFile {
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.0.write_at(data, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        match fallocate(&self.0, FallocateFlags::empty(), 0, len) {
            Ok(()) => Ok(()),
            // The file system lacks fallocate: the zeros that the caller writes reserve the space.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                if self.0.metadata()?.len() < len {
                    self.0.set_len(len)
                } else {
                    Ok(())
                }
            }
            Err(errno) => Err(errno.into()),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}
