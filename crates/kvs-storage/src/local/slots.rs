//! The root record on disk: two files, `root.0` and `root.1`, written alternately and in place.
//!
//! | at | bytes | field |
//! | --- | --- | --- |
//! | 0 | 8 | magic `KVSROOT\0` |
//! | 8 | 4 | format version, 2 |
//! | 12 | 4 | format of the store, as in `FORMAT` |
//! | 16 | 8 | revision |
//! | 24 | 8 | epoch, its number |
//! | 32 | 16 | epoch, its id |
//! | 48 | 8 | group |
//! | 56 | 8 | length of the payload |
//! | 64 | 4 | reserved, 0 |
//! | 68 | 4 | crc32c of bytes 0..68 and the payload |
//! | 72 | | payload; what follows it is left of a longer one |
//!
//! Space is reserved before any byte is changed, so a full disk leaves both slots intact. A failed
//! write damages at most the slot that is not current.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::field::{u32_at, u64_at};
use crate::disk::{Disk, DiskError, write_all};
use crate::epoch::Epoch;
use crate::failure::Failure;
use crate::journal::GroupNumber;
use crate::limits::ROOT_BYTES;
use crate::root::{Root, RootError, RootRecord, Slots};
use crate::term::Term;

/// Version of the directory layout and everything in it, recorded in the `FORMAT` file and in each
/// slot.
pub const STORE_FORMAT: u32 = 5;

/// Version of the slot format.
const FORMAT: u32 = 2;

const MAGIC: &[u8; 8] = b"KVSROOT\0";
const HEADER: usize = 72;
const CHECKSUM_AT: usize = 68;

/// File names of the slots.
pub(super) const NAMES: [&str; 2] = ["root.0", "root.1"];

/// Content of the files when the store was acquired.
pub(super) struct Found {
    pub(super) slots: Slots,
    /// Index of the file that holds the current record.
    at: Option<usize>,
    /// Number of existing files, intact or not.
    files: usize,
    /// Describes the damage of one of them.
    damage: Option<&'static str>,
}

impl Found {
    /// Reads both files.
    pub(super) fn read(disk: &dyn Disk, dir: &Path) -> Result<Self, RootError> {
        let (mut files, mut damage) = (0, None);
        let mut roots = Vec::new();
        for name in NAMES {
            let found = read_file(disk, &dir.join(name))?;
            files += usize::from(found.is_some());
            roots.push(match found {
                Some(Ok(root)) => Some(root),
                Some(Err(what)) => {
                    damage = Some(what);
                    None
                }
                None => None,
            });
        }
        let (second, first) = (roots.pop().flatten(), roots.pop().flatten());
        let slots = Slots::of(first.clone(), second).map_err(|what| corrupt(dir, what))?;
        // Without an intact slot the store is refused, with an error that says the same.
        if let (Some(what), true) = (damage, slots.current.is_some()) {
            let (dir, slots) = (dir.display(), NAMES.join(", "));
            tracing::warn!("a slot of the root record in {dir} ({slots}) is damaged: {what}");
        }
        let is_first = first.is_some() && slots.current == first;
        let at = slots.current.as_ref().map(|_| usize::from(!is_first));
        Ok(Self {
            slots,
            at,
            files,
            damage,
        })
    }

    /// Fails if no record is intact although there must be one. Only the first record of a new
    /// store may be torn: then there is one file, and the journal is empty.
    pub(super) fn check(&self, dir: &Path, journal_is_empty: bool) -> Result<(), RootError> {
        if self.slots.current.is_some() || (journal_is_empty && self.files < NAMES.len()) {
            return Ok(());
        }
        let what = self.damage.unwrap_or("it is missing");
        Err(corrupt(dir, what))
    }
}

/// Whether a slot holds a whole record of this format.
pub(super) fn has_whole_slot(disk: &dyn Disk, dir: &Path) -> bool {
    let found = Found::read(disk, dir);
    found.is_ok_and(|found| found.slots.current.is_some())
}

fn corrupt(dir: &Path, what: &str) -> RootError {
    RootError::Corrupt {
        place: format!("in {} ({})", dir.display(), NAMES.join(", ")),
        what: what.to_owned(),
    }
}

/// What is known about the slots between swaps.
struct State {
    at: Option<usize>,
    revision: u64,
    /// Groups of the current and the previous record.
    groups: (Option<GroupNumber>, Option<GroupNumber>),
}

/// The root record of a store on disk.
pub(super) struct LocalRoot {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    epoch: Epoch,
    term: Term,
    /// A slot needs the groups after this one. Shared with the journal.
    needed_after: Arc<AtomicU64>,
    state: Mutex<State>,
}

impl LocalRoot {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        dir: &Path,
        found: &Found,
        epoch: Epoch,
        term: Term,
        needed_after: Arc<AtomicU64>,
    ) -> Self {
        let current = found.slots.current.as_ref();
        let previous = found.slots.previous.as_ref();
        needed_after.store(found.slots.needed_after().unwrap_or(0), Ordering::Release);
        let state = Mutex::new(State {
            at: found.at,
            revision: current.map_or(0, |root| root.revision),
            groups: (
                current.map(|root| root.group),
                previous.map(|root| root.group),
            ),
        });
        Self {
            disk,
            dir: dir.to_path_buf(),
            epoch,
            term,
            needed_after,
            state,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, slot: usize, bytes: &[u8]) -> Result<(), RootError> {
        let path = self.dir.join(NAMES.get(slot).copied().unwrap_or_default());
        let at = |action| DiskError::at(&path, action);
        let exists = self.disk.exists(&path).map_err(at("look for"));
        let exists = exists.map_err(refused)?;
        let file = match exists {
            true => self.disk.open(&path).map_err(at("open")),
            false => self.disk.create(&path).map_err(at("create")),
        };
        let file = file.map_err(refused)?;
        let reserved = file.allocate(bytes.len() as u64).map_err(at("preallocate"));
        reserved.map_err(refused)?;
        let written = write_all(&*file, bytes, 0).map_err(at("write"));
        written.map_err(refused)?;
        let synced = file.sync_data().map_err(at("sync"));
        synced.map_err(|error| RootError::Unknown(error.into()))?;
        if !exists {
            let synced = self.disk.sync_dir(&self.dir);
            let synced = synced.map_err(DiskError::at(&self.dir, "sync"));
            synced.map_err(|error| RootError::Unknown(error.into()))?;
        }
        Ok(())
    }
}

fn refused(error: DiskError) -> RootError {
    let failure = Failure::from(error);
    match failure.is_shortage() {
        true => RootError::NoSpace(failure),
        false => RootError::NotSwapped(failure),
    }
}

impl RootRecord for LocalRoot {
    fn load(&self) -> Result<Slots, RootError> {
        let _state = self.state();
        let found = Found::read(&*self.disk, &self.dir)?;
        found.check(&self.dir, true)?;
        Ok(found.slots)
    }

    fn swap(&self, expected: u64, group: GroupNumber, payload: &[u8]) -> Result<u64, RootError> {
        let mut state = self.state();
        if expected != state.revision {
            let found = state.revision;
            return Err(RootError::Conflict { expected, found });
        }
        let revision = expected + 1;
        let bytes = encode(revision, self.epoch, group, payload)?;
        self.term.check(false).map_err(RootError::Fenced)?;
        let slot = state.at.map_or(0, |at| 1 - at);
        self.write(slot, &bytes)?;
        self.term.check(false).map_err(RootError::Fenced)?;
        state.groups = (Some(group), state.groups.0);
        state.at = Some(slot);
        state.revision = revision;
        let needed = state.groups.1.map_or(group, |before| before.min(group));
        self.needed_after.store(needed, Ordering::Release);
        Ok(revision)
    }
}

fn encode(
    revision: u64,
    epoch: Epoch,
    group: GroupNumber,
    payload: &[u8],
) -> Result<Vec<u8>, RootError> {
    if payload.len() > ROOT_BYTES {
        return Err(RootError::TooBig {
            bytes: payload.len(),
            limit: ROOT_BYTES,
        });
    }
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&STORE_FORMAT.to_le_bytes());
    bytes.extend_from_slice(&revision.to_le_bytes());
    bytes.extend_from_slice(&epoch.number.to_le_bytes());
    bytes.extend_from_slice(&epoch.id.to_le_bytes());
    bytes.extend_from_slice(&group.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes), payload);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(payload);
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Result<Root, &'static str> {
    const SHORT: &str = "it is cut short";
    let covered = bytes.get(..CHECKSUM_AT).ok_or(SHORT)?;
    if !covered.starts_with(MAGIC) {
        return Err("it does not begin as a root record does");
    }
    let field = |at| u64_at(covered, at).ok_or(SHORT);
    let payload = bytes.get(HEADER..).ok_or(SHORT)?;
    let length = usize::try_from(field(56)?).ok();
    let payload = length.and_then(|length| payload.get(..length));
    let payload = payload.ok_or("its length is wrong")?;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(covered), payload);
    // The checksum first: only an intact header can be trusted to name its format.
    if u32_at(bytes, CHECKSUM_AT) != Some(checksum) {
        return Err("its checksum is wrong");
    }
    if u32_at(covered, 8) != Some(FORMAT) {
        return Err("its format version is not known to this program");
    }
    if u32_at(covered, 12) != Some(STORE_FORMAT) {
        return Err("the store is of a format that is not known to this program");
    }
    let id = covered.get(32..48).and_then(|id| id.first_chunk());
    Ok(Root {
        revision: field(16)?,
        epoch: Epoch {
            number: field(24)?,
            id: id.map_or(0, |id| u128::from_le_bytes(*id)),
        },
        group: field(48)?,
        payload: Bytes::copy_from_slice(payload),
    })
}

/// Reads the record in a file; `None` if the file does not exist.
fn read_file(
    disk: &dyn Disk,
    path: &Path,
) -> Result<Option<Result<Root, &'static str>>, RootError> {
    let at = |action| DiskError::at(path, action);
    if !disk.exists(path).map_err(at("look for")).map_err(refused)? {
        return Ok(None);
    }
    let file = disk.open(path).map_err(at("open")).map_err(refused)?;
    let len = file.len().map_err(at("measure")).map_err(refused)?;
    let len = usize::try_from(len).ok();
    let Some(len) = len.filter(|len| *len <= HEADER + ROOT_BYTES) else {
        return Ok(Some(Err("it is longer than a root record can be")));
    };
    let mut bytes = vec![0; len];
    let read = file.read_at(&mut bytes, 0).map_err(at("read"));
    bytes.truncate(read.map_err(refused)?);
    Ok(Some(decode(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{CrashVariant, DiskFault, FaultPoint, SimDisk};

    const DIR: &str = "/store";

    fn setup() -> SimDisk {
        let disk = SimDisk::new();
        disk.create_dir(Path::new(DIR)).unwrap();
        disk
    }

    fn read(disk: &SimDisk) -> Result<Found, RootError> {
        Found::read(disk, Path::new(DIR))
    }

    fn open_as(disk: &SimDisk, epoch: u64) -> LocalRoot {
        let epoch = Epoch {
            number: epoch,
            id: 7,
        };
        let found = read(disk).unwrap();
        let term = Term::new(|_| Ok(()));
        let dir = Path::new(DIR);
        LocalRoot::new(
            Arc::new(disk.clone()),
            dir,
            &found,
            epoch,
            term,
            Arc::default(),
        )
    }

    fn open(disk: &SimDisk) -> LocalRoot {
        open_as(disk, 1)
    }

    fn current(disk: &SimDisk) -> Option<(u64, Bytes)> {
        let current = read(disk).unwrap().slots.current;
        current.map(|root| (root.revision, root.payload))
    }

    fn slot(at: usize) -> PathBuf {
        Path::new(DIR).join(NAMES[at])
    }

    #[test]
    fn records_are_written_to_the_two_files_in_turn() {
        let disk = setup();
        let root = open(&disk);
        assert_eq!(root.load().unwrap(), Slots::default());
        for (before, payload) in (0..).zip([&b"one"[..], b"", b"three"]) {
            assert_eq!(root.swap(before, before * 5, payload).unwrap(), before + 1);
            let slots = root.load().unwrap();
            let newest = slots.current.unwrap();
            assert_eq!(
                (newest.revision, &newest.payload[..]),
                (before + 1, payload)
            );
            assert_eq!(slots.previous.map_or(0, |root| root.revision), before);
        }
        assert_eq!(disk.files(), [slot(0), slot(1)]);
        assert_eq!(open(&disk).load().unwrap(), root.load().unwrap());
    }

    #[test]
    fn a_swap_that_expects_another_revision_changes_nothing() {
        let disk = setup();
        let root = open(&disk);
        root.swap(0, 0, b"one").unwrap();
        for expected in [0, 2] {
            let error = root.swap(expected, 0, b"two").unwrap_err();
            assert!(matches!(error, RootError::Conflict { found: 1, .. }));
        }
        assert_eq!(current(&disk), Some((1, "one".into())));
    }

    #[test]
    fn what_either_slot_needs_is_told_to_the_journal() {
        let disk = setup();
        let needed = Arc::new(AtomicU64::new(9));
        let found = read(&disk).unwrap();
        let (term, dir) = (Term::new(|_| Ok(())), Path::new(DIR));
        let disk = Arc::new(disk);
        let root = LocalRoot::new(disk, dir, &found, Epoch::default(), term, needed.clone());
        for (before, group, expected) in [(0, 4, 4), (1, 7, 4), (2, 8, 7), (3, 8, 8)] {
            root.swap(before, group, b"x").unwrap();
            assert_eq!(needed.load(Ordering::Acquire), expected);
        }
    }

    #[test]
    fn a_power_cut_at_any_operation_leaves_the_old_or_the_new() {
        let disk = setup();
        let root = open(&disk);
        let payloads: Vec<Vec<u8>> = (0..6).map(|n| vec![n as u8; 700 * (6 - n)]).collect();
        let mut done = vec![disk.operations()];
        for (before, payload) in (0..).zip(&payloads) {
            root.swap(before, 0, payload).unwrap();
            done.push(disk.operations());
        }
        let mut points = disk.crash_points();
        while points.operation() < done[0] {
            points.advance();
        }
        loop {
            let newest = done.iter().filter(|at| **at <= points.operation()).count() as u64 - 1;
            for seed in 0..10 {
                let variant = match seed {
                    0 => CrashVariant::Lost,
                    1 => CrashVariant::Kept,
                    2..6 => CrashVariant::Torn(seed),
                    _ => CrashVariant::Mixed(seed),
                };
                let image = points.image(variant);
                let found = current(&image);
                let revision = found.as_ref().map_or(0, |found| found.0);
                assert!(revision == newest || revision == newest + 1);
                if let Some((revision, payload)) = found {
                    assert!(payload == payloads[revision as usize - 1]);
                }
                // The next swap works from whatever state was left.
                open(&image).swap(revision, 0, b"next").unwrap();
                let image = image.images_after(image.operations(), CrashVariant::Lost);
                assert_eq!(current(&image), Some((revision + 1, "next".into())));
            }
            if !points.advance() {
                break;
            }
        }
    }

    #[test]
    fn a_failure_before_the_sync_keeps_the_old() {
        for before in [1, 2] {
            for point in [FaultPoint::Create, FaultPoint::Open, FaultPoint::Write] {
                for fault in [DiskFault::Io, DiskFault::NoSpace, DiskFault::Short(20)] {
                    let disk = setup();
                    let root = open(&disk);
                    for revision in 0..before {
                        root.swap(revision, 0, b"old").unwrap();
                    }
                    disk.fail(point, 0, fault);
                    let failed = root.swap(before, 0, b"new");
                    disk.clear_faults();
                    let Err(error) = failed else { continue };
                    let refused = matches!(error, RootError::NotSwapped(_) | RootError::NoSpace(_));
                    assert!(refused, "{error}");
                    assert_eq!(current(&disk), Some((before, "old".into())));
                    root.swap(before, 0, b"new").unwrap();
                    assert_eq!(current(&disk), Some((before + 1, "new".into())));
                }
            }
        }
    }

    #[test]
    fn a_full_disk_leaves_both_slots_whole() {
        let disk = setup();
        let root = open(&disk);
        root.swap(0, 1, b"one").unwrap();
        root.swap(1, 2, b"two").unwrap();
        let before = root.load().unwrap();
        disk.set_capacity(Some(disk.used()));
        let error = root.swap(2, 3, &[0; 10_000]).unwrap_err();
        assert!(matches!(error, RootError::NoSpace(_)), "{error}");
        assert_eq!(root.load().unwrap(), before);
        // A record that is not longer needs no space.
        root.swap(2, 3, b"six").unwrap();
    }

    #[test]
    fn a_failed_sync_is_unknown() {
        let disk = setup();
        let root = open(&disk);
        disk.fail(FaultPoint::SyncDir, 0, DiskFault::Io);
        assert!(matches!(root.swap(0, 0, b"x"), Err(RootError::Unknown(_))));
        root.swap(0, 0, b"old").unwrap();
        disk.fail(FaultPoint::SyncData, 0, DiskFault::Io);
        assert!(matches!(root.swap(1, 0, b"x"), Err(RootError::Unknown(_))));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_of_one_slot_leaves_the_other() {
        let disk = setup();
        let root = open(&disk);
        root.swap(0, 0, b"first").unwrap();
        root.swap(1, 0, b"payload").unwrap();
        let path = slot(1);
        for bit in 0..(HEADER + 7) * 8 {
            let (byte, mask) = (bit as u64 / 8, 1 << (bit % 8));
            assert!(disk.flip(&path, byte, mask));
            assert_eq!(current(&disk), Some((1, "first".into())), "bit {bit}");
            assert!(disk.flip(&path, byte, mask));
        }
        for len in (0..HEADER as u64 + 7).rev() {
            disk.open(&path).unwrap().set_len(len).unwrap();
            assert_eq!(current(&disk), Some((1, "first".into())));
        }
    }

    #[test]
    fn damage_of_both_slots_is_reported_and_a_torn_first_record_is_not() {
        let disk = setup();
        let root = open(&disk);
        root.swap(0, 0, b"first").unwrap();
        let dir = Path::new(DIR);
        disk.flip(&slot(0), 72, 1);
        assert!(read(&disk).unwrap().check(dir, true).is_ok());
        assert!(read(&disk).unwrap().check(dir, false).is_err());
        disk.flip(&slot(0), 72, 1);
        root.swap(1, 0, b"second").unwrap();
        disk.flip(&slot(0), 72, 1);
        assert!(read(&disk).unwrap().check(dir, false).is_ok());
        disk.flip(&slot(1), 72, 1);
        let error = read(&disk).unwrap().check(dir, true).unwrap_err();
        assert!(error.to_string().contains("checksum"), "{error}");
    }

    #[test]
    fn a_slot_of_an_older_epoch_is_not_taken_whatever_its_revision() {
        for (old, new) in [(0, 1), (1, 0)] {
            let disk = setup();
            for (at, epoch, revision) in [(old, 3, 9), (new, 4, 8)] {
                let epoch = Epoch {
                    number: epoch,
                    id: 1,
                };
                let bytes = encode(revision, epoch, 0, b"x").unwrap();
                let file = disk.create(&slot(at)).unwrap();
                file.write_at(&bytes, 0).unwrap();
            }
            assert_eq!(current(&disk), Some((8, "x".into())));
            // The next record replaces the older one.
            open_as(&disk, 5).swap(8, 0, b"y").unwrap();
            let slots = read(&disk).unwrap().slots;
            assert_eq!(slots.previous.map(|root| root.revision), Some(8));
        }
    }
}
