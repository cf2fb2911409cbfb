//! Tests of packs on a simulated disk: contents, failures, damage, and power cuts after every
//! operation.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use kvs_tree::{Blobref, HashAlgorithm};

use super::*;
use crate::blobs::{BlobStore, PackId, PackInfo, StoreError};
use crate::disk::{CrashVariant, Disk, DiskFault, FaultPoint, SimDisk};
use crate::entropy::SimEntropy;
use crate::env::Environment;
use crate::local::reserve::Reserve;
use crate::term::Term;

const DIR: &str = "/store/packs";

fn open(disk: &SimDisk, live: &[PackId]) -> Result<PackStore, StoreError> {
    let env = Environment::simulated(disk.clone(), 1);
    let dir = Path::new(DIR);
    let store = PackStore::new(
        &env,
        dir,
        Reserve::new(&env, dir, 0),
        Term::new(|_| Ok(())),
        2,
    )?;
    store.adopt(live)?;
    Ok(store)
}

fn object(number: u64) -> (Blobref, Bytes) {
    let algorithm = if number.is_multiple_of(7) {
        HashAlgorithm::Sha1
    } else {
        HashAlgorithm::Blake3
    };
    let bytes: Bytes = number.to_le_bytes().repeat(1 + number as usize % 90).into();
    (Blobref::of(algorithm, &bytes), bytes)
}

fn write(store: &PackStore, numbers: std::ops::Range<u64>) -> Result<Option<PackId>, StoreError> {
    store.write_pack(&mut numbers.map(object))
}

fn assert_holds(store: &PackStore, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let (blobref, bytes) = object(number);
        assert!(store.contains(&blobref));
        assert_eq!(store.get(&blobref).unwrap(), Some(bytes));
    }
}

fn pack_path(id: u32) -> PathBuf {
    Path::new(DIR).join(file::file_name(PackId(id)))
}

#[test]
fn objects_are_usable_at_once_and_after_reopening() {
    let disk = SimDisk::new();
    let store = open(&disk, &[]).unwrap();
    let first = write(&store, 1..50).unwrap().unwrap();
    let second = write(&store, 50..60).unwrap().unwrap();
    assert_holds(&store, 1..60);
    assert!(!store.contains(&object(60).0));
    assert_eq!(store.get(&object(60).0).unwrap(), None);
    let image = disk.images_after(disk.operations(), CrashVariant::Lost);
    let store = open(&image, &[first, second]).unwrap();
    assert_holds(&store, 1..60);
    let packs = store.packs();
    assert_eq!(
        packs.iter().map(|pack| pack.objects).collect::<Vec<_>>(),
        [49, 10]
    );
}

#[test]
fn many_objects_are_read_as_each_alone_in_whatever_order() {
    let disk = SimDisk::new();
    let store = open(&disk, &[]).unwrap();
    write(&store, 1..400).unwrap();
    write(&store, 400..500).unwrap();
    let mut names: Vec<Blobref> = (1..520).map(|number| object(number).0).collect();
    names.extend(names.clone().iter().step_by(5));
    let alone = |names: &[Blobref]| -> Vec<Option<Bytes>> {
        names.iter().map(|name| store.get(name).unwrap()).collect()
    };
    assert_eq!(store.get_many(&names).unwrap(), alone(&names));
    names.sort_by_key(|name| store.locality_hint(name));
    assert_eq!(store.get_many(&names).unwrap(), alone(&names));
    names.reverse();
    assert_eq!(store.get_many(&names).unwrap(), alone(&names));
    assert_eq!(store.get_many(&[]).unwrap(), []);
}

#[test]
fn damage_is_noticed_among_many_objects() {
    let disk = SimDisk::new();
    let store = open(&disk, &[]).unwrap();
    let pack = write(&store, 1..50).unwrap().unwrap();
    let names: Vec<Blobref> = (1..50).map(|number| object(number).0).collect();
    let place = store.locality_hint(&names[20]);
    let file = disk.open(&pack_path(pack.0)).unwrap();
    let at = (place & 0xff_ffff) + format::RECORD as u64;
    let mut byte = [0];
    file.read_at(&mut byte, at).unwrap();
    file.write_at(&[byte[0] ^ 1], at).unwrap();
    assert!(matches!(
        store.get_many(&names),
        Err(StoreError::Corrupt { blobref, .. }) if blobref == names[20]
    ));
}

#[test]
fn objects_that_are_there_are_not_written_again() {
    let disk = SimDisk::new();
    let store = open(&disk, &[]).unwrap();
    write(&store, 0..10).unwrap();
    assert_eq!(write(&store, 0..10).unwrap(), None);
    assert_eq!(disk.files().len(), 1);
    let id = store
        .write_pack(&mut (5..12).chain(10..12).map(object))
        .unwrap()
        .unwrap();
    assert_eq!(
        store.packs()[1],
        PackInfo {
            id,
            objects: 2,
            bytes: store.packs()[1].bytes
        }
    );
    assert_eq!(write(&store, 0..0).unwrap(), None);
}

#[test]
fn a_pack_is_synced_once_and_its_directory_once() {
    let disk = SimDisk::new();
    let store = open(&disk, &[]).unwrap();
    let (operations, (_, syncs)) = (disk.operations(), disk.counters());
    write(&store, 0..100).unwrap();
    assert_eq!(disk.counters().1 - syncs, 1);
    // Create, objects, index and footer, sync, rename, sync of the directory.
    assert_eq!(disk.operations() - operations, 6);
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    let disk = SimDisk::new();
    let store = open(&disk, &[]).unwrap();
    let mut pack = store.begin_pack().unwrap();
    let (blobref, bytes) = object(3);
    pack.add(&blobref, &bytes).unwrap();
    assert_eq!(pack.bytes(), bytes.len() as u64);
    assert!(!store.contains(&blobref));
    drop(pack);
    assert!(disk.files().is_empty());
}

#[test]
fn a_failure_abandons_the_pack_and_a_second_try_works() {
    for point in [
        FaultPoint::Create,
        FaultPoint::Write,
        FaultPoint::SyncData,
        FaultPoint::Rename,
        FaultPoint::SyncDir,
    ] {
        for fault in [DiskFault::Io, DiskFault::NoSpace, DiskFault::Short(100)] {
            let disk = SimDisk::new();
            let store = open(&disk, &[]).unwrap();
            disk.fail(point, 0, fault);
            let error = write(&store, 0..10).unwrap_err();
            let full = fault == DiskFault::NoSpace
                || (point == FaultPoint::Write && fault == DiskFault::Short(100));
            assert_eq!(
                matches!(error, StoreError::NoSpace(_)),
                full,
                "{point:?} {fault:?}"
            );
            assert!(disk.files().is_empty() && store.packs().is_empty());
            assert!(!store.contains(&object(1).0));
            write(&store, 0..10).unwrap();
            assert_holds(&store, 0..10);
        }
    }
}

#[test]
fn an_unlisted_pack_is_usable_until_it_is_removed() {
    let disk = SimDisk::new();
    let store = open(&disk, &[]).unwrap();
    let first = write(&store, 0..10).unwrap().unwrap();
    let second = write(&store, 10..20).unwrap().unwrap();
    let store = open(&disk, &[first]).unwrap();
    assert_holds(&store, 0..20);
    store.retain(&[first]).unwrap();
    assert!(!store.contains(&object(15).0));
    assert_eq!(store.packs().len(), 1);
    let third = write(&store, 10..20).unwrap().unwrap();
    assert!(third > second);
    store.delete(third).unwrap();
    store.delete(third).unwrap();
    assert_eq!(disk.files(), [pack_path(first.0)]);
    assert_holds(&store, 0..10);
}

#[test]
fn a_listed_pack_that_is_missing_or_cut_is_an_error_that_names_it() {
    use crate::disk::Disk;
    let disk = SimDisk::new();
    let id = write(&open(&disk, &[]).unwrap(), 0..10).unwrap().unwrap();
    disk.open(&pack_path(id.0)).unwrap().set_len(300).unwrap();
    let error = open(&disk, &[id]).unwrap_err();
    assert!(
        matches!(error, StoreError::CorruptPack { pack, .. } if pack == id),
        "{error}"
    );
    disk.remove(&pack_path(id.0)).unwrap();
    let error = open(&disk, &[id]).unwrap_err();
    assert!(
        matches!(error, StoreError::MissingPack { pack, .. } if pack == id),
        "{error}"
    );
}

#[test]
fn every_flipped_byte_is_reported_or_harmless() {
    let disk = SimDisk::new();
    let id = write(&open(&disk, &[]).unwrap(), 0..5).unwrap().unwrap();
    let len = disk.content(&pack_path(id.0)).unwrap().len() as u64;
    let mut reported = 0;
    for byte in 0..len {
        let disk = disk.images_after(disk.operations(), CrashVariant::Kept);
        assert!(disk.flip(&pack_path(id.0), byte, 0x20));
        match open(&disk, &[id]) {
            Err(StoreError::CorruptPack { pack, .. }) if pack == id => reported += 1,
            Err(error) => panic!("byte {byte}: {error}"),
            Ok(store) => {
                for number in 0..5 {
                    let (blobref, bytes) = object(number);
                    match store.get(&blobref) {
                        Ok(found) => assert_eq!(found, Some(bytes), "byte {byte}"),
                        Err(StoreError::Corrupt {
                            pack,
                            blobref: damaged,
                            ..
                        }) => {
                            assert_eq!((pack, damaged), (id, blobref), "byte {byte}");
                            reported += 1;
                        }
                        Err(error) => panic!("byte {byte}: {error}"),
                    }
                }
            }
        }
    }
    // All except the fields before each object, which only distinguish objects.
    assert_eq!(reported, len - 5 * format::RECORD as u64);
}

#[test]
fn a_power_cut_at_any_operation_leaves_finished_packs_whole_and_no_others() {
    for seed in 0..3 {
        let disk = SimDisk::new();
        let random = SimEntropy::new(seed);
        let store = open(&disk, &[]).unwrap();
        let mut finished: Vec<(usize, PackId, std::ops::Range<u64>)> = Vec::new();
        let mut next = 0;
        for _ in 0..8 {
            let numbers = next..next + 1 + random.below(60);
            next = numbers.end;
            if random.below(3) == 0 {
                disk.fail(FaultPoint::SyncData, 0, DiskFault::Io);
                assert!(write(&store, numbers.clone()).is_err());
            }
            let id = write(&store, numbers.clone()).unwrap().unwrap();
            finished.push((disk.operations(), id, numbers));
        }
        let mut points = disk.crash_points();
        loop {
            let live = finished
                .iter()
                .filter(|(at, _, _)| *at <= points.operation());
            let ids: Vec<PackId> = live.clone().map(|(_, id, _)| *id).collect();
            for variant in [
                CrashVariant::Lost,
                CrashVariant::Kept,
                CrashVariant::Torn(seed),
                CrashVariant::Mixed(seed),
                CrashVariant::Mixed(seed + 100),
            ] {
                let image = points.image(variant);
                let store = open(&image, &ids).unwrap();
                for (_, _, numbers) in live.clone() {
                    assert_holds(&store, numbers.clone());
                }
                // Other packs taken into use are intact and durable as well.
                let lost = image.images_after(image.operations(), CrashVariant::Lost);
                let again = open(&lost, &ids).unwrap();
                for number in 0..next {
                    let (blobref, _) = object(number);
                    let found = store.get(&blobref).unwrap();
                    assert_eq!(store.contains(&blobref), found.is_some());
                    assert_eq!(again.get(&blobref).unwrap(), found);
                }
                store.retain(&ids).unwrap();
                assert_eq!(image.files().len(), ids.len());
            }
            if !points.advance() {
                break;
            }
        }
    }
}
