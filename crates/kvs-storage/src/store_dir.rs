//! The directory of a store: one daemon at a time, and only a directory that is a store of a format
//! that this program knows.
//!
//! Layout: `lock`, `FORMAT`, `manifest`, `reserve`, `journal/`, `packs/`. The lock is the operating system's, so
//! that a killed daemon leaves none behind.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskError, LockGuard, write_all};
use crate::env::Environment;

/// Version of the layout of a store's directory; stands in its `FORMAT` file.
pub const STORE_FORMAT: u32 = 1;

/// An error of opening a store's directory.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreDirectoryError {
    /// Another process has the store open.
    #[error("{} is in use by {}", dir.display(), holder(.pid))]
    InUse {
        /// The store.
        dir: PathBuf,
        /// The process that holds it, as far as it is known.
        pid: Option<u32>,
    },
    /// The directory holds something else than a store.
    #[error("{} is not a store: {what}", dir.display())]
    NotAStore {
        /// The directory.
        dir: PathBuf,
        /// Why it is none.
        what: String,
    },
    /// The disk failed.
    #[error("{0}")]
    Disk(#[from] DiskError),
}

fn holder(pid: &Option<u32>) -> String {
    pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    )
}

/// A store's directory, locked for this process while this lives.
#[derive(Debug)]
pub struct StoreDirectory {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    lock: Arc<LockGuard>,
    made: Made,
}

/// What a start made. If it is refused, that is removed again, so that nothing half-made stays.
#[derive(Debug, Clone)]
pub struct Made {
    dir: PathBuf,
    /// Directories that were missing, the deepest first.
    missing: Vec<PathBuf>,
    /// The store is new: all of its files were made by this start.
    new: bool,
    /// Nobody else makes anything there meanwhile.
    lock: Option<Arc<LockGuard>>,
}

impl Made {
    fn nothing(disk: &dyn Disk, dir: &Path) -> Self {
        let missing = dir.ancestors().take_while(|dir| {
            !dir.as_os_str().is_empty() && disk.exists(dir).is_ok_and(|exists| !exists)
        });
        Self {
            dir: dir.to_path_buf(),
            missing: missing.map(Path::to_path_buf).collect(),
            new: false,
            lock: None,
        }
    }

    /// Removes it, as far as that is possible.
    pub fn undo(&self, disk: &dyn Disk) {
        if self.new && self.lock.is_some() {
            for part in [self.dir.join("journal"), self.dir.join("packs")] {
                for name in disk.list(&part).unwrap_or_default() {
                    let _ = disk.remove(&part.join(name));
                }
                let _ = disk.remove_dir(&part);
            }
            for name in [
                "manifest",
                "manifest.new",
                "reserve",
                "FORMAT",
                "FORMAT.new",
                "lock",
            ] {
                let _ = disk.remove(&self.dir.join(name));
            }
        }
        for dir in &self.missing {
            // One that somebody else uses is not empty.
            if disk.remove_dir(dir).is_err() {
                break;
            }
        }
    }
}

/// Watches whether the directory of a store is still there, for whoever acknowledges what is in it. The
/// store stays locked while there is one.
#[derive(Debug, Clone)]
pub struct Presence {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    lock: Arc<LockGuard>,
}

impl Presence {
    /// An error if the store was removed under the daemon, or, with `thorough`, replaced, or a part of it removed
    /// without which what is acknowledged could not be found again.
    pub fn check(&self, thorough: bool) -> Result<(), DiskError> {
        let found = self.lock.check(thorough);
        found.map_err(DiskError::at(&self.dir, "go on in"))?;
        let parts = ["FORMAT", "manifest", "journal", "packs"];
        for part in parts.into_iter().filter(|_| thorough) {
            let part = self.dir.join(part);
            // One that cannot be looked for is not known to be gone.
            if let Ok(false) = self.disk.exists(&part) {
                let gone = io::Error::new(io::ErrorKind::NotFound, "it was removed");
                return Err(DiskError::new(&part, "go on without", gone));
            }
        }
        Ok(())
    }
}

impl StoreDirectory {
    /// Locks the store in `dir`, making an empty one if there is nothing there. Directories
    /// `journal` and `packs` exist afterwards.
    ///
    /// # Errors
    /// See [`StoreDirectoryError`].
    pub fn open(env: &Environment, dir: &Path) -> Result<Self, StoreDirectoryError> {
        let disk = &*env.disk;
        let mut made = Made::nothing(disk, dir);
        Self::open_or_make(&env.disk, dir, &mut made).inspect_err(|_| made.undo(disk))
    }

    fn open_or_make(
        shared: &Arc<dyn Disk>,
        dir: &Path,
        made: &mut Made,
    ) -> Result<Self, StoreDirectoryError> {
        let disk = &**shared;
        if made.missing.is_empty() {
            // Before anything is made in a directory of somebody else.
            check_contents(disk, dir)?;
        }
        disk.create_dir(dir).map_err(DiskError::at(dir, "make"))?;
        let lock = Arc::new(lock(disk, dir)?);
        let format = dir.join("FORMAT");
        let exists = disk
            .exists(&format)
            .map_err(DiskError::at(&format, "look for"))?;
        made.new = !exists && check_contents(disk, dir).is_ok();
        made.lock = Some(Arc::clone(&lock));
        let store = Self {
            disk: Arc::clone(shared),
            dir: dir.to_path_buf(),
            lock,
            made: made.clone(),
        };
        check_format(disk, dir)?;
        for part in [store.journal(), store.packs()] {
            disk.create_dir(&part)
                .map_err(DiskError::at(&part, "make"))?;
        }
        Ok(store)
    }

    /// What opening it has made, to be undone if the start is refused for another reason.
    pub fn made(&self) -> Made {
        self.made.clone()
    }

    /// Watches whether it is still there.
    pub fn presence(&self) -> Presence {
        Presence {
            disk: Arc::clone(&self.disk),
            dir: self.dir.clone(),
            lock: Arc::clone(&self.lock),
        }
    }

    /// The directory itself, where the manifest stands.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The journal's directory.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.dir.join("journal")
    }

    /// The packs' directory.
    #[must_use]
    pub fn packs(&self) -> PathBuf {
        self.dir.join("packs")
    }
}

fn lock(disk: &dyn Disk, dir: &Path) -> Result<LockGuard, StoreDirectoryError> {
    let path = dir.join("lock");
    match disk.lock(&path, &format!("{}\n", std::process::id())) {
        Ok(guard) => Ok(guard),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let pid = read_text(disk, &path)
                .ok()
                .and_then(|text| text.trim().parse().ok());
            Err(StoreDirectoryError::InUse {
                dir: dir.to_path_buf(),
                pid,
            })
        }
        Err(error) => Err(DiskError::new(&path, "lock", error).into()),
    }
}

/// A store without `FORMAT` is a new one, provided that nothing else is there.
fn check_format(disk: &dyn Disk, dir: &Path) -> Result<(), StoreDirectoryError> {
    let path = dir.join("FORMAT");
    let expected = format!("kvs store format {STORE_FORMAT}\n");
    if disk
        .exists(&path)
        .map_err(DiskError::at(&path, "look for"))?
    {
        let found = read_text(disk, &path).map_err(DiskError::at(&path, "read"))?;
        if found == expected {
            return Ok(());
        }
        return Err(StoreDirectoryError::NotAStore {
            dir: dir.to_path_buf(),
            what: format!("FORMAT says {found:?}, this program knows {expected:?}"),
        });
    }
    check_contents(disk, dir)?;
    let temporary = dir.join("FORMAT.new");
    let file = disk
        .create(&temporary)
        .map_err(DiskError::at(&temporary, "create"))?;
    write_all(&*file, expected.as_bytes(), 0).map_err(DiskError::at(&temporary, "write"))?;
    file.sync_data()
        .map_err(DiskError::at(&temporary, "sync"))?;
    disk.rename(&temporary, &path)
        .map_err(DiskError::at(&path, "rename"))?;
    Ok(disk.sync_dir(dir).map_err(DiskError::at(dir, "sync"))?)
}

/// A directory that is to become a store must hold nothing else.
fn check_contents(disk: &dyn Disk, dir: &Path) -> Result<(), StoreDirectoryError> {
    let names = disk.list(dir).map_err(DiskError::at(dir, "list"))?;
    let ours = |name: &String| matches!(name.as_str(), "lock" | "FORMAT.new");
    match names.iter().find(|name| !ours(name)) {
        Some(name) if !names.iter().any(|name| name == "FORMAT") => {
            Err(StoreDirectoryError::NotAStore {
                dir: dir.to_path_buf(),
                what: format!("it has no FORMAT file, but {name:?}"),
            })
        }
        _ => Ok(()),
    }
}

/// The first bytes of a small text file.
fn read_text(disk: &dyn Disk, path: &Path) -> io::Result<String> {
    let mut bytes = vec![0; 256];
    let read = disk.open(path)?.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{CrashVariant, SimDisk};

    fn open(disk: &SimDisk) -> Result<StoreDirectory, StoreDirectoryError> {
        StoreDirectory::open(
            &Environment::simulated(disk.clone(), 1),
            Path::new("/a/store"),
        )
    }

    #[test]
    fn a_second_opening_names_the_store_and_the_holder() {
        let disk = SimDisk::new();
        let store = open(&disk).unwrap();
        let error = open(&disk).unwrap_err();
        let expected = format!("/a/store is in use by process {}", std::process::id());
        assert_eq!(error.to_string(), expected);
        drop(store);
        let store = open(&disk).unwrap();
        assert!(disk.exists(&store.journal()).unwrap() && disk.exists(&store.packs()).unwrap());
    }

    #[test]
    fn the_lock_of_a_real_file_works_alike() {
        let dir = tempfile::tempdir().unwrap();
        let env = Environment::real();
        let path = dir.path().join("x/store");
        let store = StoreDirectory::open(&env, &path).unwrap();
        let error = StoreDirectory::open(&env, &path).unwrap_err();
        let StoreDirectoryError::InUse { pid: Some(pid), .. } = error else {
            panic!("{error}")
        };
        assert_eq!(pid, std::process::id());
        drop(store);
        let _store = StoreDirectory::open(&env, &path).unwrap();
    }

    #[test]
    fn a_store_of_which_a_part_was_removed_is_not_there_any_more() {
        for part in ["FORMAT", "manifest", "journal", "packs", "lock"] {
            let dir = tempfile::tempdir().unwrap();
            let store = StoreDirectory::open(&Environment::real(), dir.path()).unwrap();
            std::fs::write(dir.path().join("manifest"), "").unwrap();
            let presence = store.presence();
            presence.check(true).unwrap();
            let path = dir.path().join(part);
            match path.is_dir() {
                true => std::fs::remove_dir(&path).unwrap(),
                false => std::fs::remove_file(&path).unwrap(),
            }
            let error = presence.check(true).unwrap_err().to_string();
            assert!(error.contains("it was removed"), "{part}: {error}");
        }
    }

    #[test]
    fn a_directory_with_other_things_is_refused() {
        let disk = SimDisk::new();
        disk.create_dir(Path::new("/a/store")).unwrap();
        disk.create(Path::new("/a/store/thesis.txt")).unwrap();
        let error = open(&disk).unwrap_err().to_string();
        assert!(error.contains("thesis.txt"), "{error}");
        assert_eq!(disk.files(), [Path::new("/a/store/thesis.txt")]);
    }

    #[test]
    fn a_store_of_another_format_is_refused() {
        let disk = SimDisk::new();
        drop(open(&disk).unwrap());
        let file = disk.create(Path::new("/a/store/FORMAT")).unwrap();
        file.write_at(b"kvs store format 999\n", 0).unwrap();
        let error = open(&disk).unwrap_err().to_string();
        assert!(error.contains("999"), "{error}");
    }

    #[test]
    fn a_power_cut_while_a_store_is_made_leaves_none_or_a_store() {
        let disk = SimDisk::new();
        drop(open(&disk).unwrap());
        let mut points = disk.crash_points();
        loop {
            let variants = [CrashVariant::Lost, CrashVariant::Kept];
            for variant in variants.into_iter().chain((0..8).map(CrashVariant::Mixed)) {
                drop(open(&points.image(variant)).unwrap());
            }
            if !points.advance() {
                break;
            }
        }
    }
}
