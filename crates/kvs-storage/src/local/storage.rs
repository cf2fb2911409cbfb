//! Implements the storage trait on a local disk.
//!
//! The lock is taken first. Then the parts are read in order of dependency: slots, journal, and
//! packs only after the engine has decoded which ones it needs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::directory::StoreDirectory;
use super::journal::{DiskJournal, JournalOptions};
use super::pack::PackStore;
use super::reserve::Reserve;
use super::slots::{Found, LocalRoot};
use crate::disk::DiskError;
use crate::env::Environment;
use crate::epoch::Epoch;
use crate::limits::{OPEN_FILES, SEGMENT_BYTES, STATE_OPEN_FILES, TERM_MS};
use crate::storage::{AcquireError, Owned, Storage};
use crate::term::{Ownership, Term};

/// Configuration of a store on a local disk.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// Directory of the store.
    pub dir: PathBuf,
    /// Size of new journal segments in bytes. Existing segments keep their size.
    pub segment_bytes: u64,
    /// Approximate maximum number of files of each kind kept open for reading.
    pub open_files: usize,
    /// Bytes reserved for a checkpoint on a full disk.
    pub reserve_bytes: u64,
}

impl LocalOptions {
    /// Returns options for a store in `dir`, with default sizes and no reserve.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_path_buf(),
            segment_bytes: SEGMENT_BYTES,
            open_files: OPEN_FILES,
            reserve_bytes: 0,
        }
    }
}

/// A store in a directory. Real and simulated disks differ only by environment.
#[derive(Debug)]
pub struct LocalStorage {
    env: Environment,
    options: LocalOptions,
}

impl LocalStorage {
    /// Creates a handle without opening or creating anything.
    #[must_use]
    pub fn new(env: &Environment, options: LocalOptions) -> Self {
        let env = env.clone();
        Self { env, options }
    }

    fn parts(&self, directory: StoreDirectory) -> Result<Owned, AcquireError> {
        let (env, options, dir) = (&self.env, &self.options, &self.options.dir);
        let found = Found::read(&*env.disk, dir)?;
        let from = found.slots.current.as_ref().map_or(0, |root| root.group);
        let journal_options = JournalOptions {
            segment_bytes: options.segment_bytes,
            open_files: options.open_files,
        };
        let mut journal = DiskJournal::open(env, &directory.journal(), journal_options, from)?;
        found.check(dir, crate::journal::Journal::newest(&journal) == 0)?;
        let mut id = [0; 16];
        let random = env.entropy.fill(&mut id);
        random.map_err(DiskError::at(dir, "get random bytes for"))?;
        let epoch = Epoch {
            number: found.slots.newest_epoch().max(journal.epoch()) + 1,
            id: u128::from_le_bytes(id),
        };
        let needed_after = Arc::new(AtomicU64::new(0));
        let term = directory.term();
        let root = LocalRoot::new(
            env.disk.clone(),
            dir,
            &found,
            epoch,
            term.clone(),
            needed_after.clone(),
        );
        journal.begin(epoch.number, term.clone(), needed_after);
        let started = journal.prepare_ahead(env.inline);
        started.map_err(|error| {
            AcquireError::Busy(format!("cannot start the thread kvs-prepare: {error}"))
        })?;
        let reserve = Reserve::new(env, dir, options.reserve_bytes);
        let blobs = PackStore::new(
            env,
            &directory.packs(),
            reserve,
            term.clone(),
            options.open_files,
        )?;
        // No reserve, and few open files: its packs are read only once.
        let none = Reserve::new(env, &directory.state(), 0);
        let term = directory.term();
        let state = PackStore::new(
            env,
            &directory.state(),
            none,
            term.clone(),
            STATE_OPEN_FILES,
        )?;
        let (made, disk) = (directory.made(), env.disk.clone());
        let journal_files = journal.check_files(&env.disk);
        let (pack_files, state_files) = (blobs.check_files(), state.check_files());
        let whole = Term::new(move |thorough| {
            term.check(thorough)?;
            if thorough {
                journal_files()?;
                pack_files()?;
                state_files()?;
            }
            Ok(())
        });
        let ownership = Ownership::new(whole, move || directory.release());
        Ok(Owned {
            epoch,
            ownership: ownership.with_undo(move || made.undo(&*disk)),
            root: Arc::new(root),
            journal: Box::new(journal),
            blobs: Arc::new(blobs),
            state: Arc::new(state),
        })
    }
}

impl Storage for LocalStorage {
    fn acquire(&self) -> Result<Owned, AcquireError> {
        let directory = StoreDirectory::open(&self.env, &self.options.dir)?;
        if directory.is_taken_over() && !self.env.inline {
            // Until then the previous owner may still answer reads.
            #[expect(
                clippy::disallowed_methods,
                reason = "nothing else happens before the store is open"
            )]
            std::thread::sleep(Duration::from_millis(2 * TERM_MS));
        }
        let made = directory.made();
        self.parts(directory)
            .inspect_err(|_| made.undo(&*self.env.disk))
    }
}
