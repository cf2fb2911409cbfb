//! What goes on beside the preparation of a segment: a disk on which making a file takes as long as a
//! test wants.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::spare::NEW;
use super::*;
use crate::disk::{Disk, DiskFault, DiskFile, FaultPoint, LockGuard, SimDisk};
use crate::env::Environment;
use crate::limits::{SEGMENT_BYTES_MIN, SEGMENT_UNSYNCED_BYTES};

const DIR: &str = "/store/journal";

/// A disk that says when a new segment is begun, and goes on when it is told to.
#[derive(Debug)]
struct Slow {
    disk: SimDisk,
    gate: Mutex<Option<(SyncSender<()>, Receiver<()>)>>,
}

impl Disk for Slow {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let new = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(NEW));
        if new && let Some((begun, go_on)) = self.gate.lock().unwrap().take() {
            begun.send(()).unwrap();
            go_on.recv().unwrap();
        }
        self.disk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open(path)
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

/// A journal whose next segment is being prepared on another thread, and stays so until something is
/// sent.
fn preparing() -> (DiskJournal, SyncSender<()>, JoinHandle<()>) {
    let slow = Arc::new(Slow {
        disk: SimDisk::new(),
        gate: Mutex::new(None),
    });
    let mut env = Environment::simulated(SimDisk::new(), 1);
    env.disk = slow.clone();
    let journal = open(&env, SEGMENT_BYTES_MIN);
    let (begun, begins) = sync_channel(0);
    let (go_on, goes_on) = sync_channel(1);
    *slow.gate.lock().unwrap() = Some((begun, goes_on));
    let preparer = journal.preparer();
    let thread = thread::spawn(move || preparer.run().unwrap());
    begins.recv().unwrap();
    (journal, go_on, thread)
}

fn open(env: &Environment, segment_bytes: u64) -> DiskJournal {
    let options = JournalOptions::with_segment_bytes(segment_bytes);
    DiskJournal::open::<JournalError>(env, Path::new(DIR), options, 0, &mut |_, _| Ok(())).unwrap()
}

fn append(journal: &mut DiskJournal) {
    let after = journal.newest();
    let appended = journal.append(after, &[7; 500]);
    assert!(matches!(appended, Appended::Done(number) if number == after + 1));
}

#[test]
fn groups_are_appended_and_trimmed_while_a_segment_is_prepared() {
    let (mut journal, go_on, thread) = preparing();
    append(&mut journal);
    assert_eq!(journal.bytes(), SEGMENT_BYTES_MIN);
    assert!(journal.wants_preparation());
    journal.trim(journal.newest()).unwrap();
    // A second preparation leaves it to the first.
    journal.preparer().run().unwrap();
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
            append(&mut journal);
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
    let (reader, mut next) = (journal.reader(), 1);
    while next <= journal.newest() {
        next += reader.read(next, 1_000).unwrap().len() as u64;
    }
    assert_eq!(next, journal.newest() + 1);
}

#[test]
fn the_next_segment_is_synced_in_steps() {
    const STEPS: u64 = 4;
    for (syncs, enough) in [(STEPS, false), (STEPS + 1, true)] {
        let disk = SimDisk::new();
        let journal = open(
            &Environment::simulated(disk.clone(), 1),
            STEPS * SEGMENT_UNSYNCED_BYTES,
        );
        // One for each step, and one for the header.
        disk.fail_on(FaultPoint::SyncData, NEW, syncs, 1, DiskFault::Io);
        assert_eq!(journal.preparer().run().is_ok(), enough);
    }
}
