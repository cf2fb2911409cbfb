//! Tests of work that runs concurrently with segment preparation, on a disk where creating a file
//! takes as long as the test wants.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::spare::NEW;
use super::tests::{
    DIR, append, assert_is_chain, four_segments, free, open_from, open_in, read_all,
};
use super::*;
use crate::disk::{Disk, DiskFault, DiskFile, FaultPoint, LockGuard, SimDisk};
use crate::env::Environment;
use crate::failure::Failure;
use crate::journal::{Journal, JournalError};
use crate::limits::{SEGMENT_BYTES_MIN, SEGMENT_UNSYNCED_BYTES};
use crate::term::Term;

/// The path to block at, the channel that signals that the file was opened, and the channel that
/// resumes it.
type Gate = (PathBuf, SyncSender<()>, Receiver<()>);

/// A disk that signals when it creates or opens the gated file and then blocks until it is resumed.
#[derive(Debug)]
struct Slow {
    disk: SimDisk,
    gate: Mutex<Option<Gate>>,
}

impl Slow {
    fn wait(&self, path: &Path) {
        let gate = self.gate.lock().unwrap().take_if(|(at, ..)| at == path);
        if let Some((_, begun, go_on)) = gate {
            begun.send(()).unwrap();
            go_on.recv().unwrap();
        }
    }
}

impl Disk for Slow {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.create(path);
        self.wait(path);
        file
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(path);
        self.wait(path);
        file
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk.list(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.disk.exists(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }

    fn lock(&self, path: &Path, content: &str) -> io::Result<LockGuard> {
        self.disk.lock(path, content)
    }
}

/// Opens a journal on a slow disk, after group `from`.
fn slow(disk: SimDisk, from: u64) -> (DiskJournal, Arc<Slow>) {
    let mut env = Environment::simulated(disk.clone(), 7);
    let gate = Mutex::new(None);
    let slow = Arc::new(Slow { disk, gate });
    env.disk = slow.clone();
    (open_in(&env, SEGMENT_BYTES_MIN, from).unwrap().0, slow)
}

/// Starts preparing the next segment on another thread and returns once the thread blocks at that
/// file. Sending a message resumes it.
fn prepare(journal: &DiskJournal, slow: &Slow, file: PathBuf) -> (SyncSender<()>, JoinHandle<()>) {
    let (begun, begins) = sync_channel(0);
    let (go_on, goes_on) = sync_channel(1);
    *slow.gate.lock().unwrap() = Some((file, begun, goes_on));
    let spare = journal.spare();
    let thread = thread::spawn(move || spare.prepare().unwrap());
    begins.recv().unwrap();
    (go_on, thread)
}

/// Returns a new journal whose second segment is being prepared.
fn preparing() -> (DiskJournal, SyncSender<()>, JoinHandle<()>) {
    let (journal, slow) = slow(SimDisk::new(), 0);
    let new = Path::new(DIR).join(format!("{NEW}{}", segment_file::file_name(2)));
    let (go_on, thread) = prepare(&journal, &slow, new);
    (journal, go_on, thread)
}

#[test]
fn groups_are_appended_and_trimmed_while_a_segment_is_prepared() {
    let (mut journal, go_on, thread) = preparing();
    append(&mut journal, 500);
    assert_eq!(journal.bytes(), SEGMENT_BYTES_MIN);
    assert!(journal.wants_preparation());
    journal.drop_before(journal.newest()).unwrap();
    // A second preparation returns at once and leaves the work to the first.
    journal.spare().prepare().unwrap();
    assert!(journal.wants_preparation());
    go_on.send(()).unwrap();
    thread.join().unwrap();
    assert!(!journal.wants_preparation());
    assert_eq!(journal.bytes(), 2 * SEGMENT_BYTES_MIN);
}

#[test]
fn who_needs_the_segment_that_is_prepared_waits_for_it() {
    let (mut journal, go_on, thread) = preparing();
    let full = thread::spawn(move || {
        while journal.segments().len() < 3 {
            append(&mut journal, 500);
        }
        journal
    });
    go_on.send(()).unwrap();
    thread.join().unwrap();
    let journal = full.join().unwrap();
    let ids: Vec<u64> = journal
        .segments()
        .iter()
        .map(|segment| segment.id)
        .collect();
    assert_eq!(ids, [1, 2, 3]);
    let groups = read_all(&journal.reader());
    assert_eq!(groups.len() as u64, journal.newest());
    assert_is_chain(&groups, 1);
}

#[test]
fn a_file_that_is_being_reused_is_not_lost_under_a_segment_that_is_trimmed() {
    let (disk, newest) = four_segments();
    let (mut journal, _) = open_from(&disk, newest).unwrap();
    journal.drop_before(newest).unwrap();
    drop(journal);
    // As after a power cut that undid the renames by which these files became segments.
    for (from, to) in [(1, 4), (2, 9)] {
        disk.rename(&free(from), &free(to)).unwrap();
    }
    let (mut journal, slow) = slow(disk.clone(), newest);
    // The other one becomes the fifth segment.
    while journal.segments().len() < 2 {
        append(&mut journal, 500);
    }
    let (go_on, thread) = prepare(&journal, &slow, free(4));
    let fifth = journal.newest();
    journal.drop_before(fifth).unwrap();
    go_on.send(()).unwrap();
    thread.join().unwrap();
    while journal.segments().len() < 3 {
        append(&mut journal, 500);
    }
    let (first, newest) = (journal.segments()[0].first, journal.newest());
    drop(journal);
    let (journal, groups) = open_from(&disk, first - 1).unwrap();
    assert_eq!(journal.newest(), newest);
    assert_is_chain(&groups, first);
}

#[test]
fn the_next_segment_is_synced_in_steps() {
    const STEPS: u64 = 4;
    for (syncs, enough) in [(STEPS, false), (STEPS + 1, true)] {
        let disk = SimDisk::new();
        let env = Environment::simulated(disk.clone(), 1);
        let (journal, _) = open_in(&env, STEPS * SEGMENT_UNSYNCED_BYTES, 0).unwrap();
        // One sync for each step, and one for the header.
        disk.fail_on(FaultPoint::SyncData, NEW, syncs, 1, DiskFault::Io);
        assert_eq!(journal.spare().prepare().is_ok(), enough);
    }
}

#[test]
fn a_segment_whose_owner_was_deposed_while_it_was_made_gets_no_name() {
    let (mut journal, slow) = slow(SimDisk::new(), 0);
    let deposed = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let over = deposed.clone();
    let term = Term::new(
        move |_| match over.load(std::sync::atomic::Ordering::SeqCst) {
            true => Err(Failure::new(io::ErrorKind::NotFound, "another came")),
            false => Ok(()),
        },
    );
    journal.begin(2, term, Arc::default());
    let new = Path::new(DIR).join(format!("{NEW}{}", segment_file::file_name(2)));
    let (begun, begins) = sync_channel(0);
    let (go_on, goes_on) = sync_channel(1);
    *slow.gate.lock().unwrap() = Some((new.clone(), begun, goes_on));
    let spare = journal.spare();
    let thread = thread::spawn(move || spare.prepare());
    begins.recv().unwrap();
    deposed.store(true, std::sync::atomic::Ordering::SeqCst);
    go_on.send(()).unwrap();
    let made = thread.join().unwrap();
    assert!(matches!(made, Err(JournalError::Fenced(_))), "{made:?}");
    let named = Path::new(DIR).join(segment_file::file_name(2));
    assert!(!slow.exists(&named).unwrap());
    // A further preparation does not start, and a file that may belong to the new owner is not
    // removed.
    assert!(journal.spare().prepare().is_err());
    assert!(slow.exists(&new).unwrap());
}
