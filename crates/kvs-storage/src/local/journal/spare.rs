//! Segment files before and after their use: preparing the next one ahead of time, reusing trimmed
//! ones.
//!
//! A segment gets its name only when it is complete. A new file is preallocated, zeroed and synced
//! as `new-<id>`; a trimmed one waits as `free-<id>` and gets a header with a new identity. Then
//! the file is renamed and the directory synced. A named segment is therefore always complete, and
//! an append into it needs only its own sync.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use super::frame::Identity;
use super::reader::Shared;
use super::segment::Segment;
use super::segment_file::{SegmentFile, SegmentInfo, encode_header, file_name};
use crate::disk::{DiskError, DiskFile, FileCache, write_all};
use crate::env::Environment;
use crate::journal::JournalError;
use crate::limits::{RECYCLED_SEGMENTS, SEGMENT_UNSYNCED_BYTES};
use crate::term::Term;

/// Name prefix of a file that is not a segment yet.
pub(super) const NEW: &str = "new-";
/// Name prefix of a file that is no longer a segment.
pub(super) const FREE: &str = "free-";

/// Written over a segment piece by piece. The pieces are small because the page cache of Linux 6.16
/// and later keeps a file in units as large as the writes that filled it, and counts a whole unit
/// as rewritten when a group touches part of it.
static ZEROS: [u8; 16 * 1024] = [0; 16 * 1024];

/// Zeroes the range `from..to`.
pub(super) fn zero(file: &dyn DiskFile, from: u64, to: u64) -> std::io::Result<()> {
    let mut at = from;
    while at < to {
        let len = usize::try_from(to - at)
            .unwrap_or(usize::MAX)
            .min(ZEROS.len());
        write_all(file, ZEROS.get(..len).unwrap_or_default(), at)?;
        at += len as u64;
    }
    Ok(())
}

/// Manages the files of a journal that hold no groups.
pub(super) struct Spare {
    env: Environment,
    files: FileCache,
    dir: PathBuf,
    segment_bytes: u64,
    shared: Arc<Shared>,
    /// The term during which files may be created; set once the store is acquired.
    term: OnceLock<Term>,
    /// Never held while a file is created, so that appends can proceed.
    state: Mutex<State>,
    made: Condvar,
}

struct State {
    next_id: u64,
    ready: Option<SegmentFile>,
    /// The next segment is being created.
    making: bool,
    free: Vec<PathBuf>,
}

/// Marks the next segment as being created, from [`Spare::begin`] until it is dropped.
struct Making<'a>(&'a Spare);

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.0.lock().making = false;
        self.0.made.notify_all();
    }
}

impl fmt::Debug for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spare")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl Spare {
    pub(super) fn new(
        env: &Environment,
        files: FileCache,
        dir: &Path,
        segment_bytes: u64,
        shared: Arc<Shared>,
        next_id: u64,
        free: Vec<PathBuf>,
    ) -> Self {
        let state = Mutex::new(State {
            next_id,
            ready: None,
            making: false,
            free,
        });
        Self {
            env: env.clone(),
            files,
            dir: dir.to_path_buf(),
            segment_bytes,
            shared,
            term: OnceLock::new(),
            state,
            made: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the total size of the files that hold no groups, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        let state = self.lock();
        let ready = state.ready.as_ref().map_or(0, |ready| ready.capacity);
        ready + state.free.len() as u64 * self.segment_bytes
    }

    pub(super) fn is_ready(&self) -> bool {
        self.lock().ready.is_some()
    }

    /// Creates the next segment, unless it is ready or in progress.
    pub(super) fn prepare(&self) -> Result<(), JournalError> {
        let mut state = self.lock();
        if state.ready.is_some() || state.making || self.shared.poisoned().is_some() {
            return Ok(());
        }
        let making = self.begin(&mut state);
        drop(state);
        let file = self.make()?;
        self.lock().ready = Some(file);
        drop(making);
        Ok(())
    }

    /// Returns the next segment, created now if it was not prepared.
    pub(super) fn take(&self) -> Result<SegmentFile, JournalError> {
        let mut state = self.lock();
        while state.making {
            let waited = self.made.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let making = self.begin(&mut state);
        let ready = state.ready.take();
        drop(state);
        let file = match ready {
            Some(file) => file,
            None => self.make()?,
        };
        self.lock().next_id += 1;
        drop(making);
        Ok(file)
    }

    /// Marks the next segment as being created.
    fn begin(&self, state: &mut State) -> Making<'_> {
        state.making = true;
        Making(self)
    }

    /// Restricts the creation of files to the duration of `term`.
    pub(super) fn make_while(&self, term: Term) {
        let _ = self.term.set(term);
    }

    /// Checks ownership: after another owner took over, a new name could be that of its segment.
    fn check_owned(&self) -> Result<(), JournalError> {
        let checked = self.term.get().map_or(Ok(()), |term| term.check(false));
        checked.map_err(JournalError::Fenced)
    }

    fn make(&self) -> Result<SegmentFile, JournalError> {
        self.check_owned()?;
        let mut tag = [0; 8];
        let random = self.env.entropy.fill(&mut tag);
        random.map_err(DiskError::at(&self.dir, "get random bytes for"))?;
        let (id, free) = {
            let state = self.lock();
            (state.next_id, state.free.last().cloned())
        };
        let identity = Identity {
            id,
            tag: u64::from_le_bytes(tag),
        };
        let name = file_name(identity.id);
        let (temporary, reused) = match free {
            Some(path) => (path, true),
            None => (self.dir.join(format!("{NEW}{name}")), false),
        };
        let path = self.dir.join(name);
        let made = self.fill(&temporary, reused, identity);
        let made = made.map_err(|error| JournalError::from_failure(error.into()));
        let made = made.and_then(|file| {
            self.check_owned()?;
            let renamed = self.env.disk.rename(&temporary, &path);
            let renamed = renamed.map_err(DiskError::at(&path, "rename to"));
            renamed
                .map(|()| file)
                .map_err(|error| JournalError::from_failure(error.into()))
        });
        // Kept in the list until here, so that no segment trimmed meanwhile could take its name.
        self.lock().free.retain(|path| *path != temporary);
        let file = match made {
            Ok(file) => file,
            Err(error) => {
                // A file that cannot be removed now is removed when the journal is opened. A newer
                // owner's file may have the same name by now.
                if self.check_owned().is_ok() {
                    let _ = self.env.disk.remove(&temporary);
                }
                return Err(error);
            }
        };
        self.sync_dir()?;
        let file = self.files.held(path.clone(), file);
        Ok(SegmentFile {
            identity,
            path,
            file: Arc::new(file),
            capacity: self.segment_bytes,
        })
    }

    /// Creates a complete, synced segment file under its temporary name.
    fn fill(
        &self,
        path: &Path,
        reused: bool,
        identity: Identity,
    ) -> Result<Arc<dyn DiskFile>, DiskError> {
        let disk = &self.env.disk;
        let file = if reused {
            disk.open(path).map_err(DiskError::at(path, "open"))?
        } else {
            let file = disk.create(path).map_err(DiskError::at(path, "create"))?;
            file.allocate(self.segment_bytes)
                .map_err(DiskError::at(path, "preallocate"))?;
            self.zero_in_steps(&*file, path)?;
            file
        };
        write_all(&*file, &encode_header(identity), 0).map_err(DiskError::at(path, "write"))?;
        file.sync_data().map_err(DiskError::at(path, "sync"))?;
        Ok(file)
    }

    /// Zeroes a new file in steps. Concurrent appends wait in their syncs for earlier writes to the
    /// disk, so each step is small.
    fn zero_in_steps(&self, file: &dyn DiskFile, path: &Path) -> Result<(), DiskError> {
        let mut at = 0;
        while at < self.segment_bytes {
            let to = self.segment_bytes.min(at + SEGMENT_UNSYNCED_BYTES);
            zero(file, at, to).map_err(DiskError::at(path, "zero"))?;
            file.sync_data().map_err(DiskError::at(path, "sync"))?;
            at = to;
        }
        Ok(())
    }

    /// Retires the file of a trimmed segment. On return its name is durably gone.
    pub(super) fn retire(&self, segment: &Segment) -> Result<(), JournalError> {
        let mut state = self.lock();
        let SegmentInfo { id, bytes, .. } = segment.info();
        let path = &segment.file.path;
        let free = self.dir.join(format!("{FREE}{}", file_name(id)));
        let room = state.free.len() < RECYCLED_SEGMENTS && !state.free.contains(&free);
        let reuse = room && bytes == self.segment_bytes;
        // Current readers can still use the file, whatever its name.
        let held = segment.file.file.hold();
        held.map_err(|error| segment.file.failed("open", error))?;
        let moved = if reuse {
            self.env.disk.rename(path, &free)
        } else {
            self.env.disk.remove(path)
        };
        moved.map_err(DiskError::at(path, "trim"))?;
        // One sync per file: a power cut must not remove a newer segment's name and keep an older
        // one's.
        self.sync_dir()?;
        if reuse {
            state.free.push(free);
        }
        Ok(())
    }

    /// Syncs the directory. After a failure the state of its names is unknown, so the journal
    /// stops.
    fn sync_dir(&self) -> Result<(), JournalError> {
        self.env.disk.sync_dir(&self.dir).map_err(|error| {
            let error = JournalError::from(DiskError::new(&self.dir, "sync", error));
            self.shared.poison(&error);
            error
        })
    }
}
