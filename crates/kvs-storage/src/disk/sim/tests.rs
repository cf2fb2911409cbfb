//! Tests of the power-cut model itself.

use std::path::Path;

use super::{CrashVariant, DiskFault, FaultPoint, SimDisk};
use crate::disk::Disk;

fn written() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir(Path::new("/s")).unwrap();
    let file = disk.create(Path::new("/s/a")).unwrap();
    file.write_at(&[1; 2048], 0).unwrap();
    disk
}

fn end(disk: &SimDisk, variant: CrashVariant) -> SimDisk {
    disk.images_after(disk.operations(), variant)
}

#[test]
fn a_file_needs_both_syncs_to_survive() {
    let disk = written();
    let path = Path::new("/s/a");
    assert_eq!(end(&disk, CrashVariant::Lost).content(path), None);
    assert_eq!(
        end(&disk, CrashVariant::Kept).content(path),
        Some(vec![1; 2048])
    );
    disk.open(path).unwrap().sync_data().unwrap();
    assert_eq!(end(&disk, CrashVariant::Lost).content(path), None);
    disk.sync_dir(Path::new("/s")).unwrap();
    assert_eq!(
        end(&disk, CrashVariant::Lost).content(path),
        Some(vec![1; 2048])
    );
}

#[test]
fn a_name_may_survive_without_its_content() {
    let disk = written();
    disk.sync_dir(Path::new("/s")).unwrap();
    assert_eq!(
        end(&disk, CrashVariant::Lost).content(Path::new("/s/a")),
        Some(vec![])
    );
}

#[test]
fn writes_tear_at_sectors() {
    let disk = written();
    let path = Path::new("/s/a");
    disk.open(path).unwrap().sync_data().unwrap();
    disk.sync_dir(Path::new("/s")).unwrap();
    disk.open(path).unwrap().write_at(&[2; 2048], 0).unwrap();
    let mut torn = 0;
    for seed in 0..20 {
        let content = end(&disk, CrashVariant::Torn(seed)).content(path).unwrap();
        assert!(
            content
                .chunks(512)
                .all(|sector| sector.iter().all(|byte| *byte == sector[0]))
        );
        torn += usize::from(content.contains(&1) && content.contains(&2));
    }
    assert!(torn > 10);
}

#[test]
fn an_unsynced_rename_leaves_either_name() {
    let disk = written();
    disk.open(Path::new("/s/a")).unwrap().sync_data().unwrap();
    disk.sync_dir(Path::new("/s")).unwrap();
    disk.rename(Path::new("/s/a"), Path::new("/s/b")).unwrap();
    assert_eq!(end(&disk, CrashVariant::Lost).files(), [Path::new("/s/a")]);
    assert_eq!(end(&disk, CrashVariant::Kept).files(), [Path::new("/s/b")]);
}

#[test]
fn a_sync_after_a_failed_one_does_not_bring_the_writes_back() {
    let disk = written();
    let path = Path::new("/s/a");
    disk.sync_dir(Path::new("/s")).unwrap();
    let file = disk.open(path).unwrap();
    disk.fail(FaultPoint::SyncData, 0, DiskFault::Io);
    file.sync_data().unwrap_err();
    assert_eq!(
        end(&disk, CrashVariant::Kept).content(path),
        Some(vec![1; 2048])
    );
    file.sync_data().unwrap();
    assert_eq!(end(&disk, CrashVariant::Kept).content(path), Some(vec![]));
}

#[test]
fn a_full_disk_takes_part_of_a_write_and_then_none() {
    let disk = written();
    disk.set_capacity(Some(2100));
    let file = disk.open(Path::new("/s/a")).unwrap();
    assert_eq!(file.write_at(&[3; 100], 2048).unwrap(), 52);
    file.write_at(&[3; 100], 2100).unwrap_err();
    file.allocate(3000).unwrap_err();
    assert_eq!(file.write_at(&[3; 2100], 0).unwrap(), 2100);
}

#[test]
fn a_second_lock_is_refused_until_the_first_is_dropped() {
    let disk = written();
    let lock = disk.lock(Path::new("/s/lock"), "1").unwrap();
    assert!(disk.lock(Path::new("/s/lock"), "2").is_err());
    drop(lock);
    let _lock = disk.lock(Path::new("/s/lock"), "2").unwrap();
}
