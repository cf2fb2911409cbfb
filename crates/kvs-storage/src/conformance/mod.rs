//! Conformance tests of RFC 0009, run against every implementation: a directory on the real disk,
//! one on the simulated disk, and memory.

mod journal;

mod root;

mod blobs;

mod owners;

mod unknown;

mod random;

use std::path::Path;

use crate::disk::{CrashVariant, Disk, SimDisk};
use crate::env::Environment;
use crate::journal::{Append, Appended, GroupNumber, Journal};
use crate::limits::SEGMENT_BYTES_MIN;
use crate::local::{LocalOptions, LocalStorage};
use crate::memory::MemoryStorage;
use crate::storage::{Owned, Storage};

/// An implementation under test, with the faults that can be injected into it.
struct Subject {
    name: &'static str,
    storage: Box<dyn Storage>,
    /// Allows another owner to acquire the store while this one lives.
    depose: Box<dyn Fn()>,
    /// Fills the store, or frees the space again. Not available on the real disk.
    fill: Option<Box<dyn Fn(bool)>>,
    /// Returns the same store after a power cut. Not available on the real disk.
    cut: Option<Box<dyn Fn(u64) -> Subject>>,
    _dir: Option<tempfile::TempDir>,
}

impl Subject {
    /// Acquires the store and ensures that both slots hold a root record.
    fn acquire(&self) -> Owned {
        let owned = self.storage.acquire().unwrap();
        if revision(&owned) == 0 {
            swap(&owned, 0, b"");
            swap(&owned, 0, b"");
        }
        owned
    }
}

/// Returns the revision of the current root record, or 0.
fn revision(owned: &Owned) -> u64 {
    let current = owned.root.load().unwrap().current;
    current.map_or(0, |root| root.revision)
}

/// Replaces the root record.
fn swap(owned: &Owned, group: GroupNumber, payload: &[u8]) {
    owned.root.swap(revision(owned), group, payload).unwrap();
}

fn local(env: &Environment, dir: &Path) -> Box<dyn Storage> {
    Box::new(LocalStorage::new(
        env,
        LocalOptions {
            segment_bytes: SEGMENT_BYTES_MIN,
            ..LocalOptions::new(dir)
        },
    ))
}

fn on_disk() -> Subject {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let lock = store.join("lock");
    Subject {
        name: "local disk",
        storage: local(&Environment::real(), &store),
        depose: Box::new(move || std::fs::remove_file(&lock).unwrap()),
        fill: None,
        cut: None,
        _dir: Some(dir),
    }
}

fn on(disk: SimDisk) -> Subject {
    // Tags and epochs must differ between openings, as they do on a real machine.
    let env = Environment::simulated(disk.clone(), disk.operations() as u64 + 1);
    let storage = local(&env, Path::new("/store"));
    let (removed, filled, cut) = (disk.clone(), disk.clone(), disk);
    Subject {
        name: "simulated disk",
        storage,
        depose: Box::new(move || removed.remove(Path::new("/store/lock")).unwrap()),
        fill: Some(Box::new(move |full| {
            filled.set_capacity(full.then(|| filled.used()));
        })),
        cut: Some(Box::new(move |seed| {
            on(cut.images_after(cut.operations(), CrashVariant::Mixed(seed)))
        })),
        _dir: None,
    }
}

fn in_memory(storage: MemoryStorage) -> Subject {
    let (filled, cut) = (storage.clone(), storage.clone());
    Subject {
        name: "memory",
        storage: Box::new(storage),
        depose: Box::new(|| ()),
        fill: Some(Box::new(move |full| filled.set_full(full))),
        // An acquisition already drops the groups that a power cut would lose.
        cut: Some(Box::new(move |_| in_memory(cut.clone()))),
        _dir: None,
    }
}

/// Runs a test on every implementation, each with its own store.
fn each(statement: impl Fn(&Subject)) {
    for subject in [
        on_disk(),
        on(SimDisk::new()),
        in_memory(MemoryStorage::new(1)),
    ] {
        println!("{}", subject.name);
        statement(&subject);
    }
}

/// Returns the expected payload of a group.
fn payload(number: GroupNumber) -> Vec<u8> {
    let len = 40 + number as usize * 37 % 400;
    (0..len)
        .map(|at| (number as usize * 31 + at) as u8)
        .collect()
}

/// Appends a group after `after`, with the payload of its number.
fn append_after(journal: &mut dyn Journal, after: GroupNumber, sync: bool) -> Appended {
    journal.append(Append {
        after,
        id: after + 1,
        payload: &payload(after + 1),
        sync,
    })
}

/// Appends `groups` groups durably.
fn append(journal: &mut dyn Journal, groups: u64) {
    for _ in 0..groups {
        let after = journal.newest();
        let appended = append_after(journal, after, true);
        assert!(matches!(appended, Appended::Done(number) if number == after + 1));
    }
}

/// Returns the range of readable groups and checks their payloads.
fn groups(journal: &dyn Journal) -> std::ops::RangeInclusive<GroupNumber> {
    let reader = journal.reader();
    let mut next = reader.oldest();
    loop {
        let groups = reader.read(next, 900).unwrap();
        if groups.is_empty() {
            return reader.oldest()..=next - 1;
        }
        for (number, found) in groups {
            assert_eq!(number, next);
            assert!(found == payload(number), "group {number}");
            next = number + 1;
        }
    }
}
