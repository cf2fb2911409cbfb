//! Conformance tests for owners, their epochs, and deposed owners.

use super::{append, append_after, each, groups, revision, swap};
use crate::blobs::{BlobStore, PackId, Staged, StoreError};
use crate::journal::{Appended, JournalError};
use crate::root::RootError;
use crate::storage::Owned;

#[test]
fn each_owner_has_an_epoch_above_all_before_and_an_id_of_its_own() {
    each(|subject| {
        let mut epochs = Vec::new();
        for owner in 0..4u64 {
            let mut owned = subject.acquire();
            epochs.push(owned.epoch);
            // An epoch is recorded in groups as well as in root records.
            match owner % 2 {
                0 => append(&mut *owned.journal, 1),
                _ => swap(&owned, 0, b""),
            }
        }
        let rising = epochs
            .windows(2)
            .all(|pair| pair[0].number < pair[1].number);
        assert!(rising, "{epochs:?}");
        let ids: std::collections::BTreeSet<u128> = epochs.iter().map(|epoch| epoch.id).collect();
        assert_eq!(ids.len(), epochs.len());
    });
}

#[test]
fn while_an_owner_lives_there_is_no_other_or_it_is_fenced() {
    each(|subject| {
        let mut first = subject.acquire();
        append(&mut *first.journal, 1);
        match subject.storage.acquire() {
            Ok(_) => assert_deposed(&mut first),
            Err(error) => {
                assert!(error.to_string().contains("in use"), "{error}");
                append(&mut *first.journal, 1);
                first.ownership.term().check(true).unwrap();
            }
        }
    });
}

/// Asserts that no operation of a deposed owner takes effect.
fn assert_deposed(old: &mut Owned) {
    let term = old.ownership.term();
    assert!(term.check(false).is_err() && term.check(true).is_err());
    for sync in [true, false] {
        let after = old.journal.newest();
        let appended = append_after(&mut *old.journal, after, sync);
        let fenced = matches!(appended, Appended::Fenced(JournalError::Fenced(_)));
        assert!(fenced, "{appended:?}");
    }
    let synced = old.journal.sync();
    assert!(matches!(synced, Err(JournalError::Fenced(_))), "{synced:?}");
    assert!(old.journal.drop_before(u64::MAX).is_err());
    let object = kvs_tree::Blobref::of(kvs_tree::HashAlgorithm::Blake3, b"late");
    let late = || std::iter::once((object, bytes::Bytes::from_static(b"late")));
    let written = old.blobs.write_pack(&mut late());
    assert!(matches!(written, Err(StoreError::Fenced(_))), "{written:?}");
    let staged = Staged::in_memory(late().collect());
    let joined = old.blobs.join(&[&staged]);
    assert!(matches!(joined, Err(StoreError::Fenced(_))), "{joined:?}");
    for refused in [old.blobs.retain(&[]), old.blobs.delete(PackId(1))] {
        assert!(matches!(refused, Err(StoreError::Fenced(_))), "{refused:?}");
    }
    for expected in 0..6 {
        let swapped = old.root.swap(expected, 0, b"late");
        let refused = matches!(
            swapped,
            Err(RootError::Fenced(_) | RootError::Conflict { .. })
        );
        assert!(refused, "{swapped:?}");
    }
}

#[test]
fn an_owner_that_was_deposed_wakes_up_and_changes_nothing() {
    each(|subject| {
        let mut old = subject.acquire();
        append(&mut *old.journal, 3);
        swap(&old, 1, b"old");
        let before = revision(&old);
        old.ownership.term().check(true).unwrap();
        (subject.depose)();
        let mut new = subject.acquire();
        assert!(new.epoch > old.epoch);
        assert_deposed(&mut old);
        append(&mut *new.journal, 2);
        swap(&new, 4, b"new");
        assert_deposed(&mut old);
        assert_eq!(groups(&*new.journal), 1..=5);
        let current = new.root.load().unwrap().current.unwrap();
        assert_eq!(
            (current.revision, &current.payload[..]),
            (before + 1, &b"new"[..])
        );
        drop(old);
        append(&mut *new.journal, 1);
        drop(new);
        let next = subject.acquire();
        assert_eq!(groups(&*next.journal), 1..=6);
        assert_eq!(next.root.load().unwrap().current.unwrap(), current);
    });
}

#[test]
fn an_owner_whose_store_lost_its_lock_is_deposed_before_anybody_else_comes() {
    each(|subject| {
        let mut old = subject.acquire();
        append(&mut *old.journal, 1);
        (subject.depose)();
        if subject.name != "memory" {
            assert_deposed(&mut old);
        }
    });
}

#[test]
fn a_store_that_was_given_up_can_be_acquired_though_parts_of_it_live() {
    each(|subject| {
        let Owned {
            ownership,
            mut journal,
            blobs,
            ..
        } = subject.acquire();
        append(&mut *journal, 1);
        let reader = journal.reader();
        let blobs: std::sync::Arc<dyn BlobStore> = blobs;
        drop((ownership, journal));
        let next = subject.acquire();
        assert_eq!(next.journal.newest(), 1);
        assert_eq!(reader.read(1, 100).unwrap().len(), 1);
        drop(blobs);
    });
}

#[test]
fn an_owner_that_was_deposed_makes_no_segment_over_that_of_another() {
    each(|subject| {
        let mut old = subject.acquire();
        append(&mut *old.journal, 1);
        (subject.depose)();
        let mut new = subject.acquire();
        // Enough groups to cross a segment boundary: both owners would create segments of the same
        // name.
        append(&mut *new.journal, 150);
        for number in 1..150 {
            let appended = append_after(&mut *old.journal, number, true);
            assert!(!matches!(appended, Appended::Done(_)), "{appended:?}");
        }
        append(&mut *new.journal, 50);
        assert_eq!(groups(&*new.journal), 1..=201);
        drop((old, new));
        assert_eq!(groups(&*subject.acquire().journal), 1..=201);
    });
}
