//! Conformance tests for the root record.

use super::{append, each};
use crate::root::{RootError, Slots};

#[test]
fn a_new_store_has_no_root_record() {
    each(|subject| {
        assert_eq!(
            subject.storage.acquire().unwrap().root.load().unwrap(),
            Slots::default()
        )
    });
}

#[test]
fn the_two_newest_records_are_kept_also_for_the_next_owner() {
    each(|subject| {
        let mut owned = subject.storage.acquire().unwrap();
        let first = owned.epoch;
        owned.root.swap(0, 0, b"zero").unwrap();
        append(&mut *owned.journal, 4);
        for (before, payload) in (1..).zip([&b"one"[..], b"a longer one", b"three"]) {
            let revision = owned.root.swap(before, before, payload).unwrap();
            assert_eq!(revision, before + 1);
        }
        let slots = owned.root.load().unwrap();
        let (current, previous) = (slots.current.clone().unwrap(), slots.previous.clone());
        assert_eq!(
            (current.revision, current.group, current.epoch),
            (4, 3, first)
        );
        assert_eq!(current.payload, "three");
        assert_eq!(previous.unwrap().payload, "a longer one");
        drop(owned);
        let owned = subject.storage.acquire().unwrap();
        assert_eq!(owned.root.load().unwrap(), slots);
        owned.root.swap(4, 4, b"four").unwrap();
        let slots = owned.root.load().unwrap();
        assert_eq!(slots.current.unwrap().epoch, owned.epoch);
        assert_eq!(slots.previous.unwrap().epoch, first);
    });
}

#[test]
fn a_swap_that_expects_another_revision_changes_nothing() {
    each(|subject| {
        let owned = subject.storage.acquire().unwrap();
        owned.root.swap(0, 0, b"one").unwrap();
        owned.root.swap(1, 0, b"two").unwrap();
        let before = owned.root.load().unwrap();
        for expected in [0, 1, 3] {
            let error = owned.root.swap(expected, 0, b"x").unwrap_err();
            let conflict = matches!(error, RootError::Conflict { found: 2, .. });
            assert!(conflict, "{error}");
        }
        assert_eq!(owned.root.load().unwrap(), before);
    });
}

#[test]
fn on_a_full_store_the_record_stands_and_can_be_replaced_when_there_is_space() {
    each(|subject| {
        let Some(fill) = &subject.fill else { return };
        let owned = subject.storage.acquire().unwrap();
        owned.root.swap(0, 0, b"one").unwrap();
        owned.root.swap(1, 0, b"two").unwrap();
        let before = owned.root.load().unwrap();
        fill(true);
        let error = owned.root.swap(2, 0, &[1; 5000]).unwrap_err();
        assert!(matches!(error, RootError::NoSpace(_)), "{error}");
        assert_eq!(owned.root.load().unwrap(), before);
        fill(false);
        assert_eq!(owned.root.swap(2, 0, &[1; 5000]).unwrap(), 3);
    });
}

#[test]
fn a_journal_without_a_root_record_is_damage_and_not_a_new_store() {
    each(|subject| {
        let mut owned = subject.storage.acquire().unwrap();
        append(&mut *owned.journal, 1);
        drop(owned);
        let error = subject.storage.acquire().unwrap_err();
        assert!(error.to_string().contains("root record"), "{error}");
    });
}
