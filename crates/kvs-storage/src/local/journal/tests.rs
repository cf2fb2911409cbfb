//! Tests of the journal on a simulated disk: order, rollover, trimming, failures, damage, and power
//! cuts after every operation of random runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::disk::{CrashVariant, DiskFault, FaultPoint, SimDisk};
use crate::entropy::SimEntropy;
use crate::env::Environment;
use crate::journal::{Append, Appended, Journal, JournalError, JournalReader};
use crate::limits::SEGMENT_BYTES_MIN;

pub(super) const DIR: &str = "/store/journal";

pub(super) fn open_from(
    disk: &SimDisk,
    from: u64,
) -> Result<(DiskJournal, Vec<(u64, Bytes)>), JournalError> {
    // Tags must differ between openings, as they do on a real machine.
    let env = Environment::simulated(disk.clone(), disk.operations() as u64 + 1);
    open_in(&env, SEGMENT_BYTES_MIN, from)
}

pub(super) fn open_in(
    env: &Environment,
    segment_bytes: u64,
    from: u64,
) -> Result<(DiskJournal, Vec<(u64, Bytes)>), JournalError> {
    let options = JournalOptions::with_segment_bytes(segment_bytes);
    let journal = DiskJournal::open(env, Path::new(DIR), options, from)?;
    let reader = journal.reader();
    let mut groups: Vec<(u64, Bytes)> = Vec::new();
    loop {
        let next = groups.last().map_or(from, |(number, _)| *number) + 1;
        let more = reader.read(next, 1024 * 1024)?;
        if more.is_empty() {
            return Ok((journal, groups));
        }
        groups.extend(more);
    }
}

impl DiskJournal {
    pub(super) fn put(&mut self, after: u64, payload: &[u8]) -> Appended {
        self.append(Append {
            after,
            id: 0,
            payload,
            sync: true,
        })
    }

    pub(super) fn put_unsynced(&mut self, after: u64, payload: &[u8]) -> Appended {
        self.append(Append {
            after,
            id: 0,
            payload,
            sync: false,
        })
    }
}

fn open(disk: &SimDisk) -> DiskJournal {
    open_from(disk, 0).unwrap().0
}

fn payload(number: u64, len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| (number as usize * 31 + at) as u8 | 1)
        .collect()
}

pub(super) fn append(journal: &mut DiskJournal, len: usize) -> u64 {
    let after = journal.newest();
    match journal.put(after, &payload(after + 1, len)) {
        Appended::Done(number) => number,
        other => panic!("{other:?}"),
    }
}

pub(super) fn read_all(reader: &Arc<dyn JournalReader>) -> Vec<(u64, Bytes)> {
    let mut all = Vec::new();
    let mut next = reader.oldest();
    while next <= reader.newest() {
        let groups = reader.read(next, 1000).unwrap();
        assert_eq!(groups[0].0, next);
        next = groups.last().unwrap().0 + 1;
        all.extend(groups);
    }
    all
}

pub(super) fn assert_is_chain(groups: &[(u64, Bytes)], first: u64) {
    for ((number, bytes), expected) in groups.iter().zip(first..) {
        assert_eq!(*number, expected);
        assert!(*bytes == payload(expected, bytes.len()), "group {expected}");
    }
}

fn segment(id: u64) -> PathBuf {
    Path::new(DIR).join(segment_file::file_name(id))
}

/// Returns the path of a trimmed segment's file.
pub(super) fn free(id: u64) -> PathBuf {
    Path::new(DIR).join(format!("{}{}", spare::FREE, segment_file::file_name(id)))
}

/// Creates and closes a journal of three full segments and an active one.
pub(super) fn four_segments() -> (SimDisk, u64) {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    while journal.segments().len() < 4 {
        append(&mut journal, 500);
    }
    append(&mut journal, 500);
    append(&mut journal, 500);
    (disk, journal.newest())
}

#[test]
fn groups_come_back_in_order_after_reopening() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    for len in [0, 1, 7, 8, 3000, 5000, 200, 7000, 1] {
        append(&mut journal, len);
    }
    assert_is_chain(&read_all(&journal.reader()), 1);
    drop(journal);
    let (mut journal, groups) = open_from(&disk, 0).unwrap();
    assert_eq!(groups.len(), 9);
    assert_is_chain(&groups, 1);
    assert_eq!(append(&mut journal, 5), 10);
    drop(journal);
    let (_, groups) = open_from(&disk, 7).unwrap();
    assert_eq!(
        groups.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
        [8, 9, 10]
    );
}

#[test]
fn an_append_costs_one_write_and_one_sync() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    let before = disk.operations();
    append(&mut journal, 100);
    assert_eq!(disk.operations() - before, 2);
}

#[test]
fn an_append_that_does_not_follow_the_newest_is_refused() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    append(&mut journal, 1);
    for after in [0, 2] {
        let answer = journal.put(after, b"x");
        let Appended::NotWritten(JournalError::NotNext { newest: 1, .. }) = answer else {
            panic!("{answer:?}")
        };
    }
    assert_eq!(append(&mut journal, 1), 2);
}

#[test]
fn a_group_larger_than_a_segment_gets_one_of_its_own() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    append(&mut journal, 10);
    append(&mut journal, 50_000);
    append(&mut journal, 10);
    assert_eq!(journal.segments().len(), 3);
    assert_is_chain(&read_all(&journal.reader()), 1);
    drop(journal);
    let (mut journal, groups) = open_from(&disk, 0).unwrap();
    assert_eq!(groups.len(), 3);
    assert_is_chain(&groups, 1);
    journal.drop_before(3).unwrap();
    assert_eq!(journal.segments().len(), 1);
}

#[test]
fn a_large_group_as_the_first_makes_the_empty_segment_longer() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    append(&mut journal, 50_000);
    append(&mut journal, 10);
    drop(journal);
    assert_eq!(open_from(&disk, 0).unwrap().1.len(), 2);
}

#[test]
fn looking_through_shows_what_reading_gives_whatever_is_in_the_buffer() {
    let (disk, newest) = four_segments();
    let journal = open(&disk);
    let reader = journal.reader();
    let mut buffer = vec![7; 50];
    for from in 1..=newest {
        for bytes in [0, 100, 1_000, 100_000] {
            let mut shown = Vec::new();
            let look = &mut |number, payload: &[u8]| {
                shown.push((number, Bytes::copy_from_slice(payload)));
                true
            };
            reader.look(from, bytes, &mut buffer, look).unwrap();
            assert_eq!(shown, reader.read(from, bytes).unwrap());
        }
        let mut shown = 0;
        let look = &mut |_, _: &[u8]| {
            shown += 1;
            false
        };
        reader.look(from, 100_000, &mut buffer, look).unwrap();
        assert_eq!(shown, 1);
    }
    let nothing = &mut |_, _: &[u8]| panic!("there is no such group");
    reader.look(newest + 1, 100, &mut buffer, nothing).unwrap();
}

#[test]
fn trimming_drops_whole_segments_and_tells_readers() {
    let (disk, newest) = four_segments();
    let mut journal = open(&disk);
    let reader = journal.reader();
    let segments = journal.segments();
    journal.drop_before(segments[2].first).unwrap();
    assert_eq!(reader.oldest(), segments[2].first);
    for gone in [0, 1, segments[1].last] {
        let error = reader.read(gone, 100).unwrap_err();
        let JournalError::Trimmed { oldest } = error else {
            panic!("{error}")
        };
        assert_eq!(oldest, segments[2].first);
    }
    assert_is_chain(&read_all(&reader), segments[2].first);
    // Never the active segment, whatever is requested.
    journal.drop_before(u64::MAX).unwrap();
    assert_eq!(journal.segments().len(), 1);
    assert_eq!(journal.newest(), newest);
    drop(journal);
    let (journal, groups) = open_from(&disk, newest).unwrap();
    assert_eq!((groups.len(), journal.newest()), (0, newest));
}

#[test]
fn a_trimmed_segment_is_reused_and_its_old_groups_never_count() {
    let (disk, newest) = four_segments();
    let mut journal = open(&disk);
    journal.drop_before(newest).unwrap();
    let bytes = journal.bytes();
    assert!(journal.wants_preparation());
    journal.spare().prepare().unwrap();
    assert!(!journal.wants_preparation());
    assert_eq!(journal.bytes(), bytes);
    let (written, _) = disk.counters();
    while journal.segments().len() < 2 {
        append(&mut journal, 500);
    }
    // No zeroing: only the groups themselves are written.
    assert!(disk.counters().0 - written < SEGMENT_BYTES_MIN);
    let first = journal.segments()[0].first;
    let last = journal.newest();
    drop(journal);
    let (journal, groups) = open_from(&disk, first - 1).unwrap();
    assert_eq!(journal.newest(), last);
    assert_is_chain(&groups, first);
}

#[test]
fn a_file_set_aside_is_not_lost_under_that_of_a_later_segment() {
    use crate::disk::Disk;
    let (disk, newest) = four_segments();
    let mut journal = open(&disk);
    journal.drop_before(newest).unwrap();
    drop(journal);
    // As after a power cut that undid the renames by which these files became segments.
    for (from, to) in [(1, 5), (2, 6)] {
        disk.rename(&free(from), &free(to)).unwrap();
    }
    let (mut journal, _) = open_from(&disk, newest).unwrap();
    for _ in 0..100 {
        append(&mut journal, 500);
        let newest = journal.newest();
        journal.drop_before(newest).unwrap();
    }
}

#[test]
fn a_prepared_segment_is_taken_without_touching_the_directory() {
    let (disk, _) = four_segments();
    let mut journal = open(&disk);
    journal.spare().prepare().unwrap();
    disk.fail_on(FaultPoint::Create, "", 0, u64::MAX, DiskFault::NoSpace);
    disk.fail_on(FaultPoint::Allocate, "", 0, u64::MAX, DiskFault::NoSpace);
    let last = journal.segments().len();
    while journal.segments().len() == last {
        append(&mut journal, 500);
    }
}

#[test]
fn a_full_disk_refuses_cleanly_and_appends_work_again_when_space_returns() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    disk.set_capacity(Some(SEGMENT_BYTES_MIN + 1000));
    let refused = loop {
        let after = journal.newest();
        match journal.put(after, &payload(after + 1, 500)) {
            Appended::Done(_) => {}
            other => break other,
        }
    };
    let Appended::NotWritten(JournalError::NoSpace(_)) = refused else {
        panic!("{refused:?}")
    };
    assert_is_chain(&read_all(&journal.reader()), 1);
    assert_eq!(disk.files().len(), 1);
    disk.set_capacity(None);
    let newest = append(&mut journal, 500);
    drop(journal);
    assert_eq!(open_from(&disk, 0).unwrap().1.len() as u64, newest);
}

#[test]
fn a_failed_or_short_write_leaves_no_trace() {
    for fault in [
        DiskFault::Io,
        DiskFault::NoSpace,
        DiskFault::Short(600),
        DiskFault::Torn(600),
    ] {
        let disk = SimDisk::new();
        let mut journal = open(&disk);
        append(&mut journal, 100);
        disk.fail(FaultPoint::Write, 0, fault);
        let answer = journal.put(1, &[9; 1000]);
        assert!(
            matches!(answer, Appended::NotWritten(_)),
            "{fault:?}: {answer:?}"
        );
        assert_eq!(journal.newest(), 1);
        for variant in [CrashVariant::Lost, CrashVariant::Kept] {
            let image = disk.images_after(disk.operations(), variant);
            assert!(
                image.content(&segment(1)).unwrap()[512 + 192..]
                    .iter()
                    .all(|b| *b == 0)
            );
        }
        assert_eq!(append(&mut journal, 200), 2);
        drop(journal);
        let (_, groups) = open_from(&disk, 0).unwrap();
        assert_eq!(groups.len(), 2);
        assert_is_chain(&groups, 1);
    }
}

#[test]
fn a_write_that_cannot_be_undone_poisons() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    append(&mut journal, 100);
    disk.fail_on(FaultPoint::Write, "", 0, 2, DiskFault::Torn(600));
    assert!(matches!(journal.put(1, &[9; 1000]), Appended::Unknown(_)));
    let before = disk.operations();
    let answer = journal.put(1, b"x");
    assert!(
        matches!(answer, Appended::Unknown(JournalError::Poisoned { .. })),
        "{answer:?}"
    );
    assert!(journal.sync().is_err() && journal.drop_before(9).is_err());
    assert_eq!(disk.operations(), before);
}

#[test]
fn a_failed_sync_is_unknown_and_final_until_reopened() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    append(&mut journal, 100);
    disk.fail(FaultPoint::SyncData, 0, DiskFault::Io);
    assert!(matches!(
        journal.put(1, &payload(2, 50)),
        Appended::Unknown(_)
    ));
    assert!(matches!(
        journal.put(1, b"x"),
        Appended::Unknown(JournalError::Poisoned { .. })
    ));
    assert_eq!(journal.reader().newest(), 1);
    drop(journal);
    // The group is in the page cache but not on disk: opening the journal makes it durable.
    let (journal, groups) = open_from(&disk, 0).unwrap();
    assert_eq!((groups.len(), journal.newest()), (2, 2));
    let image = disk.images_after(disk.operations(), CrashVariant::Lost);
    assert_eq!(open_from(&image, 0).unwrap().1.len(), 2);
}

#[test]
fn a_failed_directory_sync_stops_the_journal() {
    let (disk, _) = four_segments();
    let mut journal = open(&disk);
    disk.fail(FaultPoint::SyncDir, 0, DiskFault::Io);
    assert!(journal.spare().prepare().is_err());
    let after = journal.newest();
    assert!(matches!(journal.put(after, b"x"), Appended::Unknown(_)));
}

#[test]
fn unsynced_groups_are_read_at_once_and_durable_after_sync() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    for after in 0..30 {
        let answer = journal.put_unsynced(after, &payload(after + 1, 400));
        assert!(matches!(answer, Appended::Done(_)));
        assert_eq!(journal.reader().newest(), after + 1);
    }
    let image = disk.images_after(disk.operations(), CrashVariant::Lost);
    assert!(open_from(&image, 0).unwrap().1.len() < 30);
    assert_eq!(journal.sync().unwrap(), 30);
    let image = disk.images_after(disk.operations(), CrashVariant::Lost);
    assert_eq!(open_from(&image, 0).unwrap().1.len(), 30);
}

#[test]
fn a_hole_that_unsynced_groups_left_ends_the_journal() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    for after in 0..3 {
        let answer = journal.put_unsynced(after, &payload(after + 1, 1000));
        assert!(matches!(answer, Appended::Done(_)));
    }
    drop(journal);
    // Group 2 is damaged and group 3 is well-formed, but neither was ever durable.
    assert!(disk.flip(&segment(1), 512 + 1088 + 100, 1));
    let (mut journal, groups) = open_from(&disk, 0).unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!(append(&mut journal, 3), 2);
    drop(journal);
    assert_eq!(open_from(&disk, 0).unwrap().1.len(), 2);
}

#[test]
fn a_damaged_group_before_a_later_one_is_an_error_that_says_where() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    for _ in 0..3 {
        append(&mut journal, 1000);
    }
    drop(journal);
    for (byte, group_at) in [(512 + 5, 512), (512 + 1088 + 900, 512 + 1088)] {
        assert!(disk.flip(&segment(1), byte, 4));
        let error = open_from(&disk, 0).unwrap_err();
        let JournalError::Corrupt {
            segment: path,
            offset,
            ..
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!((Path::new(&path), offset), (&*segment(1), group_at));
        assert!(disk.flip(&segment(1), byte, 4));
    }
    // No group follows the last one: it looks as if a power cut tore it.
    assert!(disk.flip(&segment(1), 512 + 2176 + 900, 4));
    assert_eq!(open_from(&disk, 0).unwrap().1.len(), 2);
}

#[test]
fn a_flipped_byte_of_a_sealed_segment_costs_its_group_and_no_other() {
    let (disk, newest) = four_segments();
    let segments = open(&disk).segments();
    let (first, last) = (segments[1].first, segments[1].last);
    let used = (last + 1 - first) * 592 + 512;
    for byte in (0..used).filter(|byte| *byte < 60 || *byte >= 512) {
        // The zero padding of a group is not covered by the checksum and does not have to be.
        if byte >= 512 && (byte - 512) % 592 >= 588 {
            continue;
        }
        let disk = disk.images_after(disk.operations(), CrashVariant::Kept);
        assert!(disk.flip(&segment(2), byte, 0x10));
        if byte < 512 {
            // The first group says what the header said.
            assert_is_chain(&open_from(&disk, 0).unwrap().1, 1);
            continue;
        }
        // A recovery that would replay the group fails.
        let error = open_from(&disk, 0).map(|_| ()).unwrap_err();
        let JournalError::Corrupt { segment: path, .. } = error else {
            panic!("byte {byte}: {error}")
        };
        assert_eq!(Path::new(&path), segment(2), "byte {byte}");
        // Otherwise every other group is readable, alone and together with its predecessors.
        let damaged = first + (byte - 512) / 592;
        let (journal, _) = open_from(&disk, newest).unwrap();
        let reader = journal.reader();
        for number in 1..=newest {
            let read = reader.read(number, 100_000);
            if number == damaged {
                let error = read.unwrap_err();
                let JournalError::Corrupt { offset, .. } = error else {
                    panic!("byte {byte}: {error}")
                };
                assert_eq!(offset, 512 + (damaged - first) * 592, "byte {byte}");
                continue;
            }
            let read = read.unwrap();
            assert_is_chain(&read, number);
            let ends = read.last().unwrap().0;
            assert!(number > damaged || ends < damaged, "byte {byte}: {ends}");
        }
    }
}

#[test]
fn several_damaged_groups_of_a_sealed_segment_are_reported_and_never_taken_for_others() {
    let (disk, newest) = four_segments();
    let segments = open(&disk).segments();
    let (first, last) = (segments[1].first, segments[1].last);
    for broken in [
        vec![first, first + 1],
        vec![first + 2, first + 3, first + 5],
        vec![last - 1, last],
        vec![first, last],
        (first..=last).collect(),
    ] {
        let disk = disk.images_after(disk.operations(), CrashVariant::Kept);
        for number in &broken {
            // Damages the length, so that it cannot be used to find the next group.
            let at = 512 + (number - first) * 592 + 48;
            assert!(disk.flip(&segment(2), at, 0x40));
        }
        let (journal, _) = open_from(&disk, newest).unwrap();
        for number in 1..=newest {
            match journal.reader().read(number, 100_000) {
                Ok(read) => {
                    assert!(!broken.contains(&number), "{broken:?}: {number}");
                    assert_is_chain(&read, number);
                }
                Err(JournalError::Corrupt { .. }) => {
                    assert!(number <= *broken.last().unwrap(), "{broken:?}: {number}");
                }
                Err(error) => panic!("{broken:?}: {number}: {error}"),
            }
        }
    }
}

/// Opens a journal of which everything up to `covered` is in the root record, and reads every
/// group that it had. Those that cannot be read; the rest is as it was written.
fn read_covered(disk: &SimDisk, covered: u64) -> Vec<u64> {
    let (journal, _) = open_from(disk, covered).unwrap();
    assert_eq!(journal.newest(), covered);
    let reader = journal.reader();
    let mut lost = Vec::new();
    for number in 1..=covered {
        match reader.read(number, 1) {
            Ok(read) => assert_is_chain(&read, number),
            Err(JournalError::Corrupt { .. } | JournalError::Trimmed { .. }) => lost.push(number),
            Err(error) => panic!("{error}"),
        }
    }
    lost
}

#[test]
fn damage_of_what_the_root_record_has_costs_one_group_of_the_past() {
    let (disk, newest) = four_segments();
    let last = open(&disk).segments().last().copied().unwrap();
    let groups = last.last + 1 - last.first;
    for byte in (0..groups * 592 + 512 + 600).step_by(5) {
        let disk = disk.images_after(disk.operations(), CrashVariant::Kept);
        assert!(disk.flip(&segment(last.id), byte, 0x10));
        let lost = read_covered(&disk, newest);
        let inside = byte.checked_sub(512).filter(|at| at % 592 < 588);
        let damaged = inside.map(|at| last.first + at / 592);
        let damaged = damaged.filter(|number| *number <= newest);
        assert_eq!(lost, Vec::from_iter(damaged), "byte {byte}");
        // It goes on, and what is new is found again.
        let (mut journal, _) = open_from(&disk, newest).unwrap();
        assert_eq!(append(&mut journal, 100), newest + 1);
        drop(journal);
        let (_, new) = open_from(&disk, newest).unwrap();
        assert_is_chain(&new, newest + 1);
        assert_eq!(new.len(), 1, "byte {byte}");
        assert_eq!(read_covered_from(&disk, newest), lost, "byte {byte}");
    }
}

/// The groups up to `covered` that cannot be read of a journal that goes on behind it.
fn read_covered_from(disk: &SimDisk, covered: u64) -> Vec<u64> {
    let (journal, _) = open_from(disk, covered).unwrap();
    let reader = journal.reader();
    let lost = (1..=covered).filter(|number| reader.read(*number, 1).is_err());
    lost.collect()
}

#[test]
fn damage_of_a_prepared_segment_costs_nothing() {
    let (disk, newest) = four_segments();
    let env = Environment::simulated(disk.clone(), 7);
    let (mut journal, _) = open_in(&env, SEGMENT_BYTES_MIN, newest).unwrap();
    journal.prepare_ahead(true).unwrap();
    append(&mut journal, 100);
    let id = journal.segments().last().unwrap().id + 1;
    let newest = journal.newest();
    drop(journal);
    for from in [0, newest] {
        for byte in (0..64).chain([512, 513, 600, 4000]) {
            let disk = disk.images_after(disk.operations(), CrashVariant::Kept);
            assert!(disk.flip(&segment(id), byte, 0x04), "segment {id}");
            let (mut journal, groups) = open_from(&disk, from).unwrap();
            assert_is_chain(&groups, from + 1);
            assert_eq!(append(&mut journal, 100), newest + 1, "byte {byte}");
            drop(journal);
            let (_, groups) = open_from(&disk, from).unwrap();
            assert_eq!(groups.len() as u64, newest + 1 - from, "byte {byte}");
        }
    }
}

#[test]
fn damage_of_the_only_group_is_not_taken_for_an_empty_journal() {
    let disk = SimDisk::new();
    append(&mut open(&disk), 300);
    for byte in (512..512 + 380).step_by(7) {
        let disk = disk.images_after(disk.operations(), CrashVariant::Kept);
        assert!(disk.flip(&segment(1), byte, 0x10));
        assert_eq!(read_covered(&disk, 1), [1], "byte {byte}");
        let (mut journal, _) = open_from(&disk, 1).unwrap();
        assert_eq!(append(&mut journal, 10), 2);
    }
    // Without a root record that names it, a power cut may have torn it.
    assert!(disk.flip(&segment(1), 600, 4));
    assert_eq!(open_from(&disk, 0).unwrap().1.len(), 0);
}

#[test]
fn damage_that_happens_while_running_is_reported_by_the_read() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    append(&mut journal, 100);
    append(&mut journal, 100);
    assert!(disk.flip(&segment(1), 512 + 120, 1));
    let error = journal.reader().read(1, 10).unwrap_err();
    assert!(
        matches!(error, JournalError::Corrupt { offset: 512, .. }),
        "{error}"
    );
}

#[test]
fn a_missing_segment_is_an_error() {
    use crate::disk::Disk;
    let (disk, newest) = four_segments();
    disk.remove(&segment(2)).unwrap();
    let error = open_from(&disk, newest).map(|_| ()).unwrap_err();
    assert!(
        error.to_string().contains("segment 2 is missing"),
        "{error}"
    );
}

#[test]
fn a_journal_that_does_not_join_the_manifest_is_an_error() {
    let (disk, newest) = four_segments();
    let error = open_from(&disk, newest + 1).map(|_| ()).unwrap_err();
    assert!(matches!(error, JournalError::Incomplete { .. }), "{error}");
    let mut journal = open(&disk);
    journal.drop_before(newest).unwrap();
    drop(journal);
    let error = open_from(&disk, 1).map(|_| ()).unwrap_err();
    assert!(matches!(error, JournalError::Incomplete { .. }), "{error}");
}

#[test]
fn an_empty_journal_continues_behind_the_manifest() {
    let disk = SimDisk::new();
    let (mut journal, groups) = open_from(&disk, 41).unwrap();
    assert_eq!(
        (groups.len(), journal.newest(), journal.reader().oldest()),
        (0, 41, 42)
    );
    assert_eq!(append(&mut journal, 3), 42);
    drop(journal);
    assert_eq!(open_from(&disk, 41).unwrap().1.len(), 1);
}

#[test]
fn a_payload_that_looks_like_a_group_is_not_taken_for_one() {
    let disk = SimDisk::new();
    let mut journal = open(&disk);
    append(&mut journal, 10);
    let mut forged = Vec::new();
    frame::encode(
        &mut forged,
        frame::NewFrame {
            identity: frame::Identity { id: 1, tag: 0 },
            number: 9,
            epoch: 0,
            durable: 8,
            previous: &[0; 32],
            payload: b"forged",
        },
    );
    assert!(matches!(journal.put(1, &forged), Appended::Done(2)));
    drop(journal);
    assert!(disk.flip(&segment(1), 512 + 104 + 8, 1));
    assert_eq!(open_from(&disk, 0).unwrap().1.len(), 1);
}

#[test]
fn readers_beside_the_writer_see_a_growing_chain_or_trimmed() {
    let disk = SimDisk::unrecorded();
    let mut journal = open(&disk);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let reader = journal.reader();
            scope.spawn(move || {
                let mut next = 1;
                while next <= 2000 {
                    match reader.read(next, 2000) {
                        Ok(groups) => {
                            assert_is_chain(&groups, next);
                            next += groups.len() as u64;
                        }
                        Err(JournalError::Trimmed { oldest }) => {
                            assert!(oldest > next);
                            next = oldest;
                        }
                        Err(error) => panic!("{error}"),
                    }
                    std::thread::yield_now();
                }
            });
        }
        for number in 1..=2000 {
            append(&mut journal, 300);
            if number % 40 == 0 {
                journal.spare().prepare().unwrap();
                journal.drop_before(number - 20).unwrap();
            }
        }
    });
}

/// The results that a run had received by some operation of the disk.
#[derive(Clone, Copy)]
struct Known {
    operation: usize,
    durable: u64,
    written: u64,
    keep_from: u64,
}

/// Runs random operations; returns the known results over time.
fn random_run(disk: &SimDisk, seed: u64, unsynced: bool) -> Vec<Known> {
    let random = SimEntropy::new(seed);
    let mut journal = open(disk);
    let mut known = Known {
        operation: 0,
        durable: 0,
        written: 0,
        keep_from: 1,
    };
    let mut all = vec![Known {
        operation: disk.operations(),
        ..known
    }];
    for _ in 0..60 {
        let after = journal.newest();
        let len = random.below(if random.below(12) == 0 { 12_000 } else { 900 }) as usize;
        let bytes = payload(after + 1, len);
        known.written = after + 1;
        all.push(Known {
            operation: disk.operations(),
            ..known
        });
        match random.below(10) {
            0 => journal.spare().prepare().unwrap(),
            1 => {
                // Like a checkpoint: durable up to where it trims.
                known.durable = journal.sync().unwrap();
                let keep_from = known.durable.saturating_sub(random.below(8));
                known.keep_from = known.keep_from.max(keep_from);
                all.push(Known {
                    operation: disk.operations(),
                    ..known
                });
                journal.drop_before(known.keep_from).unwrap();
            }
            2 => {
                // A failed write is undone.
                disk.fail(
                    FaultPoint::Write,
                    0,
                    DiskFault::Torn(random.below(2000) as usize),
                );
                let _ = journal.put(after, &payload(after + 1, 1500));
                disk.clear_faults();
            }
            _ if unsynced && random.below(4) > 0 => {
                assert!(matches!(
                    journal.put_unsynced(after, &bytes),
                    Appended::Done(_)
                ));
            }
            _ => {
                assert!(matches!(journal.put(after, &bytes), Appended::Done(_)));
                known.durable = after + 1;
            }
        }
        all.push(Known {
            operation: disk.operations(),
            ..known
        });
    }
    all
}

fn check_crashes(seed: u64, unsynced: bool) {
    let disk = SimDisk::new();
    let history = random_run(&disk, seed, unsynced);
    let mut points = disk.crash_points();
    loop {
        let operation = points.operation();
        // The results received before this operation, and the operations that might have begun.
        let before = history
            .iter()
            .rev()
            .find(|known| known.operation <= operation);
        let Some(before) = before else {
            assert!(points.advance());
            continue;
        };
        let begun = history
            .iter()
            .find(|known| known.operation >= operation)
            .unwrap_or(before);
        let replay_from = begun.keep_from.max(before.keep_from) - 1;
        for variant in [
            CrashVariant::Lost,
            CrashVariant::Kept,
            CrashVariant::Torn(seed),
            CrashVariant::Mixed(seed),
            CrashVariant::Mixed(seed + 1),
        ] {
            let image = points.image(variant);
            let context = format!("seed {seed}, operation {operation}, {variant:?}");
            let (mut journal, groups) =
                open_from(&image, replay_from).unwrap_or_else(|error| panic!("{context}: {error}"));
            let newest = journal.newest();
            assert!(
                newest >= before.durable,
                "{context}: {newest} < {}",
                before.durable
            );
            assert!(
                newest <= begun.written.max(before.written),
                "{context}: {newest}"
            );
            assert_eq!(groups.len() as u64, newest - replay_from, "{context}");
            assert_is_chain(&groups, replay_from + 1);
            assert_is_chain(&read_all(&journal.reader()), journal.reader().oldest());
            // The journal accepts appends, and what it recovered is durable.
            append(&mut journal, 700);
            append(&mut journal, 7000);
            drop(journal);
            let again = image.images_after(image.operations(), CrashVariant::Lost);
            let (journal, _) = open_from(&again, replay_from).unwrap();
            assert_eq!(journal.newest(), newest + 2, "{context}");
        }
        if !points.advance() {
            break;
        }
    }
}

#[test]
fn a_power_cut_at_any_operation_keeps_every_acknowledged_group() {
    for seed in 0..4 {
        check_crashes(seed * 100, false);
    }
}

#[test]
fn a_power_cut_with_unsynced_groups_keeps_a_prefix() {
    for seed in 0..4 {
        check_crashes(seed * 100 + 7, true);
    }
}

#[test]
fn a_power_cut_during_recovery_loses_nothing() {
    let disk = SimDisk::new();
    let history = random_run(&disk, 5, false);
    let durable = history.last().unwrap().durable;
    let keep_from = history.last().unwrap().keep_from;
    let image = disk.images_after(disk.operations(), CrashVariant::Torn(3));
    drop(open_from(&image, keep_from - 1).unwrap());
    let mut points = image.crash_points();
    loop {
        for variant in [
            CrashVariant::Lost,
            CrashVariant::Kept,
            CrashVariant::Mixed(1),
        ] {
            let (journal, _) = open_from(&points.image(variant), keep_from - 1).unwrap();
            assert!(journal.newest() >= durable);
        }
        if !points.advance() {
            break;
        }
    }
}
