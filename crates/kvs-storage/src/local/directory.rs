//! The directory of a store: used by one daemon at a time, and only if it is a store of a supported
//! format.
//!
//! Layout: `lock`, `FORMAT`, `root.0`, `root.1`, `reserve`, `journal/`, `packs/`. The lock is held
//! by the operating system, so a killed daemon leaves none behind.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::present::{first_missing, gone as gone_part};
use super::slots::{STORE_FORMAT, has_whole_slot};
use crate::disk::{Disk, DiskError, LockGuard, write_all};
use crate::env::Environment;
use crate::storage::AcquireError;
use crate::term::Term;

fn in_use(dir: &Path, pid: Option<u32>) -> AcquireError {
    let holder = pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    );
    AcquireError::Busy(format!("{} is in use by {holder}", dir.display()))
}

fn not_a_store(dir: &Path, what: &str) -> AcquireError {
    AcquireError::NotAStore(format!("{} is not a store: {what}", dir.display()))
}

/// Returns the error for a store whose `FORMAT` differs from this build's.
fn other_format(dir: &Path, found: &str) -> AcquireError {
    let number = found.strip_prefix("kvs store format ");
    let number = number.and_then(|text| text.trim_end().parse::<u32>().ok());
    let Some(number) = number else {
        return not_a_store(dir, &format!("its FORMAT file says {found:?}"));
    };
    let dir = dir.display();
    AcquireError::NotAStore(format!(
        "{dir} is a store of format {number}, and this build reads and writes format {STORE_FORMAT}"
    ))
}

/// The directory of a store, locked for this process until it is dropped.
#[derive(Debug)]
pub(super) struct StoreDirectory {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    lock: Arc<LockGuard>,
    made: Made,
    /// The store existed without a lock file: its previous owner may still live.
    taken_over: bool,
}

/// The files in the directory of a store.
const NAMES: [&str; 6] = [
    "root.0",
    "root.1",
    "reserve",
    "FORMAT",
    "FORMAT.new",
    "lock",
];

/// What a start created. A refused start removes it again, so that nothing half-made remains.
#[derive(Debug, Clone)]
pub(super) struct Made {
    dir: PathBuf,
    /// Directories that did not exist, deepest first.
    missing: Vec<PathBuf>,
    /// The store is new: this start created all of its files.
    new: bool,
    /// Prevents others from creating files there meanwhile.
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

    /// Removes everything that was created, as far as possible.
    pub(super) fn undo(&self, disk: &dyn Disk) {
        if self.new && self.lock.is_some() {
            for part in ["journal", "packs", "state"].map(|part| self.dir.join(part)) {
                for name in disk.list(&part).unwrap_or_default() {
                    let _ = disk.remove(&part.join(name));
                }
                let _ = disk.remove_dir(&part);
            }
            for name in NAMES {
                let _ = disk.remove(&self.dir.join(name));
            }
        }
        for dir in &self.missing {
            // A directory that is in use otherwise is not empty.
            if disk.remove_dir(dir).is_err() {
                break;
            }
        }
    }
}

impl StoreDirectory {
    /// Locks the store in `dir`; creates an empty one if there is none. Afterwards the directories
    /// `journal`, `packs` and `state` exist.
    ///
    /// # Errors
    /// See [`AcquireError`].
    pub(super) fn open(env: &Environment, dir: &Path) -> Result<Self, AcquireError> {
        let disk = &*env.disk;
        let mut made = Made::nothing(disk, dir);
        Self::open_or_make(&env.disk, dir, &mut made).inspect_err(|_| made.undo(disk))
    }

    fn open_or_make(
        shared: &Arc<dyn Disk>,
        dir: &Path,
        made: &mut Made,
    ) -> Result<Self, AcquireError> {
        let disk = &**shared;
        if made.missing.is_empty() {
            // Checked before anything is created in a directory that is not ours.
            check_contents(disk, dir)?;
        }
        disk.create_dir(dir).map_err(DiskError::at(dir, "make"))?;
        let is_there = |name: &str| matches!(disk.exists(&dir.join(name)), Ok(true));
        let taken_over = is_there("FORMAT") && !is_there("lock");
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
            taken_over,
        };
        check_format(disk, dir)?;
        for part in [store.journal(), store.packs(), store.state()] {
            disk.create_dir(&part)
                .map_err(DiskError::at(&part, "make"))?;
        }
        Ok(store)
    }

    /// Returns what opening the store created, for undoing if the start is refused for another
    /// reason.
    pub(super) fn made(&self) -> Made {
        self.made.clone()
    }

    /// Returns whether another owner may live that does not know yet that it is deposed.
    pub(super) fn is_taken_over(&self) -> bool {
        self.taken_over
    }

    /// Releases the lock. Holders of the store still detect that they no longer own it.
    pub(super) fn release(&self) {
        self.lock.release();
    }

    /// Returns the term of ownership. It fails if the store was removed, or, with `thorough`, if it
    /// was replaced or lost a part that is needed to recover acknowledged data.
    pub(super) fn term(&self) -> Term {
        let (disk, dir) = (Arc::clone(&self.disk), self.dir.clone());
        let lock = Arc::clone(&self.lock);
        Term::new(move |thorough| {
            let found = lock.check(thorough);
            found.map_err(DiskError::at(&dir, "go on in"))?;
            match thorough {
                true => Ok(check_parts(&*disk, &dir)?),
                false => Ok(()),
            }
        })
    }

    /// Returns the directory of the journal.
    pub(super) fn journal(&self) -> PathBuf {
        self.dir.join("journal")
    }

    /// Returns the directory of the packs.
    pub(super) fn packs(&self) -> PathBuf {
        self.dir.join("packs")
    }

    /// Returns the directory of the state's packs.
    pub(super) fn state(&self) -> PathBuf {
        self.dir.join("state")
    }
}

/// Fails if a part of the store is missing. One slot of the root record is enough.
fn check_parts(disk: &dyn Disk, dir: &Path) -> Result<(), DiskError> {
    let is_gone = |part: &str| first_missing(disk, &[dir.join(part)]).is_some();
    let gone = ["FORMAT", "journal", "packs", "state"]
        .into_iter()
        .find(|part| is_gone(part));
    let no_slot = || is_gone("root.0") && is_gone("root.1");
    match gone.or_else(|| no_slot().then_some("root.0")) {
        Some(part) => Err(gone_part(&dir.join(part))),
        None => Ok(()),
    }
}

fn lock(disk: &dyn Disk, dir: &Path) -> Result<LockGuard, AcquireError> {
    let path = dir.join("lock");
    match disk.lock(&path, &format!("{}\n", std::process::id())) {
        Ok(guard) => Ok(guard),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let text = read_start(disk, &path).ok();
            let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
            let pid = text.and_then(|text| text.trim().parse().ok());
            Err(in_use(dir, pid))
        }
        Err(error) => Err(DiskError::new(&path, "lock", error).into()),
    }
}

/// Verifies `FORMAT`. Without that file the store is new, provided that the directory is empty.
fn check_format(disk: &dyn Disk, dir: &Path) -> Result<(), AcquireError> {
    let path = dir.join("FORMAT");
    let expected = format!("kvs store format {STORE_FORMAT}\n");
    if disk
        .exists(&path)
        .map_err(DiskError::at(&path, "look for"))?
    {
        let bytes = read_start(disk, &path).map_err(DiskError::at(&path, "read"))?;
        if bytes == expected.as_bytes() {
            return Ok(());
        }
        let found = String::from_utf8_lossy(&bytes);
        if !is_damaged(expected.as_bytes(), &bytes) || !has_whole_slot(disk, dir) {
            return Err(other_format(dir, &found));
        }
        let path = path.display();
        tracing::warn!("{path} is damaged: it says {found:?}. The root record is whole: mended");
    } else {
        check_contents(disk, dir)?;
    }
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

/// Whether what was found can be what was written with one damaged byte.
fn is_damaged(written: &[u8], found: &[u8]) -> bool {
    let differ = written
        .iter()
        .zip(found)
        .filter(|(one, other)| one != other);
    written.len() == found.len() && differ.count() == 1
}

/// Fails if a directory without `FORMAT` contains other files: it must not become a store.
fn check_contents(disk: &dyn Disk, dir: &Path) -> Result<(), AcquireError> {
    let names = disk.list(dir).map_err(DiskError::at(dir, "list"))?;
    let ours = |name: &String| matches!(name.as_str(), "lock" | "FORMAT.new");
    match names.iter().find(|name| !ours(name)) {
        Some(name) if !names.iter().any(|name| name == "FORMAT") => {
            let what = format!("it has no FORMAT file, but {name:?}");
            Err(not_a_store(dir, &what))
        }
        _ => Ok(()),
    }
}

/// Reads up to 256 bytes of a file.
fn read_start(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 256];
    let read = disk.open(path)?.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{CrashVariant, SimDisk};

    fn open(disk: &SimDisk) -> Result<StoreDirectory, AcquireError> {
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
        let expected = format!("in use by process {}", std::process::id());
        assert!(error.to_string().ends_with(&expected), "{error}");
        drop(store);
        let _store = StoreDirectory::open(&env, &path).unwrap();
    }

    #[test]
    fn a_store_of_which_a_part_was_removed_is_not_there_any_more() {
        for part in ["FORMAT", "root.0", "journal", "packs", "lock"] {
            let dir = tempfile::tempdir().unwrap();
            let store = StoreDirectory::open(&Environment::real(), dir.path()).unwrap();
            std::fs::write(dir.path().join("root.0"), "").unwrap();
            let term = store.term();
            term.check(true).unwrap();
            let path = dir.path().join(part);
            match path.is_dir() {
                true => std::fs::remove_dir(&path).unwrap(),
                false => std::fs::remove_file(&path).unwrap(),
            }
            let error = term.check(true).unwrap_err().to_string();
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
        let formats = format!(
            "is a store of format 999, and this build reads and writes format {STORE_FORMAT}"
        );
        assert!(error.ends_with(&formats), "{error}");
        let file = disk.create(Path::new("/a/store/FORMAT")).unwrap();
        file.write_at(b"kvs store format 2x\n", 0).unwrap();
        let error = open(&disk).unwrap_err().to_string();
        assert!(error.contains("is not a store"), "{error}");
    }

    #[test]
    fn one_damaged_byte_of_the_format_is_mended_where_the_root_record_is_whole() {
        use crate::env::Environment;
        use crate::local::{LocalOptions, LocalStorage};
        use crate::storage::Storage;
        let disk = SimDisk::new();
        let dir = Path::new("/a/store");
        let path = dir.join("FORMAT");
        let env = Environment::simulated(disk.clone(), 1);
        let owned = LocalStorage::new(&env, LocalOptions::new(dir)).acquire();
        owned.unwrap().root.swap(0, 0, b"root").unwrap();
        let whole = disk.content(&path).unwrap();
        for at in 0..whole.len() as u64 {
            for bit in [1, 0x80] {
                assert!(disk.flip(&path, at, bit));
                drop(open(&disk).unwrap());
                assert!(disk.content(&path).unwrap() == whole, "byte {at}");
            }
        }
        // Otherwise it is another store, or none.
        disk.remove(&dir.join("root.0")).unwrap();
        assert!(disk.flip(&path, 17, 1));
        let error = open(&disk).unwrap_err().to_string();
        assert!(
            error.contains("this build reads and writes format"),
            "{error}"
        );
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
