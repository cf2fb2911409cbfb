//! Conformance tests for blobs.

use bytes::Bytes;
use kvs_tree::{Blobref, HashAlgorithm};

use super::each;
use crate::blobs::{BlobStore, PackId, Staged, StoreError};

fn object(number: u64) -> (Blobref, Bytes) {
    let bytes: Bytes = number.to_le_bytes().repeat(1 + number as usize % 9).into();
    (Blobref::of(HashAlgorithm::Blake3, &bytes), bytes)
}

fn names(numbers: std::ops::Range<u64>) -> Vec<Blobref> {
    numbers.map(|number| object(number).0).collect()
}

fn write(blobs: &dyn BlobStore, numbers: std::ops::Range<u64>) -> Option<PackId> {
    blobs.write_pack(&mut numbers.map(object)).unwrap()
}

fn assert_holds(blobs: &dyn BlobStore, numbers: std::ops::Range<u64>) {
    let names = names(numbers.clone());
    let found = blobs.get_many(&names).unwrap();
    for ((name, number), found) in names.iter().zip(numbers).zip(found) {
        assert!(blobs.contains(name));
        assert_eq!(blobs.get(name).unwrap(), Some(object(number).1));
        assert_eq!(found, Some(object(number).1));
    }
}

fn assert_lacks(blobs: &dyn BlobStore, numbers: std::ops::Range<u64>) {
    for name in names(numbers) {
        assert!(!blobs.contains(&name));
        assert_eq!(blobs.get(&name).unwrap(), None);
    }
}

#[test]
fn a_pack_is_usable_when_it_is_finished_and_gone_when_it_is_dropped() {
    each(|subject| {
        let owned = subject.acquire();
        owned.blobs.adopt(&[]).unwrap();
        let mut pack = owned.blobs.begin_pack().unwrap();
        let (name, bytes) = object(1);
        pack.add(&name, &bytes).unwrap();
        pack.sync().unwrap();
        assert_lacks(&*owned.blobs, 1..2);
        drop(pack);
        assert_lacks(&*owned.blobs, 1..2);
        let pack = write(&*owned.blobs, 0..20).unwrap();
        assert_holds(&*owned.blobs, 0..20);
        assert_eq!(write(&*owned.blobs, 3..9), None, "nothing new");
        let packs = owned.blobs.packs();
        assert_eq!((packs.len(), packs[0].id, packs[0].objects), (1, pack, 20));
    });
}

#[test]
fn the_next_owner_finds_the_packs_that_it_adopts() {
    each(|subject| {
        let owned = subject.acquire();
        owned.blobs.adopt(&[]).unwrap();
        let first = write(&*owned.blobs, 0..10).unwrap();
        write(&*owned.blobs, 10..20).unwrap();
        drop(owned);
        let owned = subject.acquire();
        owned.blobs.adopt(&[first]).unwrap();
        owned.blobs.retain(&[first]).unwrap();
        assert_holds(&*owned.blobs, 0..10);
        assert_lacks(&*owned.blobs, 10..20);
        let third = write(&*owned.blobs, 10..20).unwrap();
        assert_holds(&*owned.blobs, 0..20);
        drop(owned);
        let owned = subject.acquire();
        let missing = PackId(third.0 + 7);
        let error = owned.blobs.adopt(&[first, missing]).unwrap_err();
        let says = matches!(error, StoreError::MissingPack { pack, .. } if pack == missing);
        assert!(says, "{error}");
        // The failed `adopt` has deleted nothing.
        owned.blobs.adopt(&[first, third]).unwrap();
        assert_holds(&*owned.blobs, 0..20);
    });
}

#[test]
fn what_was_joined_is_used_once_it_is_published() {
    each(|subject| {
        let owned = subject.acquire();
        owned.blobs.adopt(&[]).unwrap();
        let stage = |numbers: std::ops::Range<u64>, whole: bool| {
            let mut pack = owned.blobs.begin_pack().unwrap();
            for (name, bytes) in numbers.map(object) {
                pack.add(&name, &bytes).unwrap();
            }
            pack.set_aside(whole).unwrap()
        };
        let memory = Staged::in_memory((20..30).map(object).collect());
        let staged = [stage(0..10, true), stage(10..20, false), memory];
        for (number, staged) in [(5, &staged[0]), (15, &staged[1]), (25, &staged[2])] {
            let (name, bytes) = object(number);
            assert_eq!(staged.get(&name).unwrap(), Some(bytes));
        }
        let all: Vec<&Staged> = staged.iter().collect();
        let joined = owned.blobs.join(&all).unwrap();
        let packs = joined.ids().to_vec();
        assert_lacks(&*owned.blobs, 0..30);
        owned.blobs.publish(joined);
        assert_holds(&*owned.blobs, 0..30);
        drop((staged, owned));
        let owned = subject.acquire();
        owned.blobs.adopt(&packs).unwrap();
        assert_holds(&*owned.blobs, 0..30);
    });
}

#[test]
fn what_was_joined_for_a_refused_group_is_gone_and_for_an_unknown_one_it_stays() {
    each(|subject| {
        let owned = subject.acquire();
        owned.blobs.adopt(&[]).unwrap();
        let join = |numbers: std::ops::Range<u64>| {
            let staged = Staged::in_memory(numbers.map(object).collect());
            owned.blobs.join(&[&staged]).unwrap()
        };
        let (refused, unknown) = (join(0..5), join(5..9));
        let (gone, left) = (refused.ids().to_vec(), unknown.ids().to_vec());
        drop(refused);
        unknown.leave();
        assert_lacks(&*owned.blobs, 0..9);
        drop(owned);
        let owned = subject.acquire();
        assert!(owned.blobs.adopt(&gone).is_err());
        owned.blobs.adopt(&left).unwrap();
        owned.blobs.retain(&left).unwrap();
        assert_lacks(&*owned.blobs, 0..5);
        assert_holds(&*owned.blobs, 5..9);
    });
}

#[test]
fn a_pinned_object_cannot_be_deleted() {
    each(|subject| {
        let owned = subject.acquire();
        owned.blobs.adopt(&[]).unwrap();
        let first = write(&*owned.blobs, 0..5).unwrap();
        let second = write(&*owned.blobs, 5..9).unwrap();
        assert!(owned.blobs.pin(&names(3..10)).is_none(), "9 is not there");
        let pin = owned.blobs.pin(&names(2..3)).unwrap();
        let again = owned.blobs.pin(&names(0..7)).unwrap();
        for pack in [first, second] {
            let error = owned.blobs.delete(pack).unwrap_err();
            assert!(matches!(error, StoreError::Pinned { pack: found } if found == pack));
        }
        drop(again);
        owned.blobs.delete(second).unwrap();
        owned.blobs.delete(second).unwrap();
        assert!(owned.blobs.delete(first).is_err());
        assert_holds(&*owned.blobs, 0..5);
        assert_lacks(&*owned.blobs, 5..9);
        drop(pin);
        owned.blobs.delete(first).unwrap();
        assert_lacks(&*owned.blobs, 0..9);
    });
}

#[test]
fn what_is_live_can_be_copied_and_the_rest_deleted() {
    each(|subject| {
        let owned = subject.acquire();
        owned.blobs.adopt(&[]).unwrap();
        let packs = [write(&*owned.blobs, 0..10), write(&*owned.blobs, 10..20)];
        let mut live = names(8..12).into_iter();
        let copy = owned.blobs.copy_live(&mut live).unwrap().unwrap();
        for pack in packs.into_iter().flatten() {
            owned.blobs.delete(pack).unwrap();
        }
        assert_lacks(&*owned.blobs, 0..8);
        assert_holds(&*owned.blobs, 8..12);
        assert_eq!(
            owned.blobs.copy_live(&mut names(0..0).into_iter()).unwrap(),
            None
        );
        assert!(owned.blobs.copy_live(&mut names(0..1).into_iter()).is_err());
        drop(owned);
        let owned = subject.acquire();
        owned.blobs.adopt(&[copy]).unwrap();
        assert_holds(&*owned.blobs, 8..12);
    });
}

#[test]
fn a_full_store_refuses_packs_and_claims_and_nothing_is_left_of_them() {
    each(|subject| {
        let Some(fill) = &subject.fill else { return };
        let owned = subject.acquire();
        owned.blobs.adopt(&[]).unwrap();
        let first = write(&*owned.blobs, 0..10).unwrap();
        fill(true);
        let refused = owned.blobs.write_pack(&mut (10..900).map(object));
        assert!(matches!(refused, Err(StoreError::NoSpace(_))));
        let staged = Staged::in_memory((10..900).map(object).collect());
        let refused = owned.blobs.join(&[&staged]);
        assert!(matches!(refused, Err(StoreError::NoSpace(_))));
        assert!(matches!(
            owned.blobs.claim(1 << 20),
            Err(StoreError::NoSpace(_))
        ));
        assert_eq!(owned.blobs.packs().len(), 1);
        fill(false);
        drop(owned.blobs.claim(1 << 20).unwrap());
        let second = write(&*owned.blobs, 10..900).unwrap();
        drop((staged, owned));
        let owned = subject.acquire();
        owned.blobs.adopt(&[first, second]).unwrap();
        assert_holds(&*owned.blobs, 0..900);
    });
}
