//! Conformance tests for appends with an unknown outcome.

use super::{Subject, append, append_after, groups, in_memory, on, payload};
use crate::disk::{DiskFault, FaultPoint, SimDisk};
use crate::journal::{Append, Appended, Journal, JournalError};
use crate::memory::{Fate, MemoryStorage};
use crate::storage::Owned;

/// Acquires the store and ensures that it has a root record.
fn acquired(storage: &MemoryStorage) -> Owned {
    in_memory(storage.clone()).acquire()
}

fn settle(journal: &mut dyn Journal, after: u64) -> Appended {
    journal.settle(Append {
        after,
        id: after + 1,
        payload: &payload(after + 1),
        sync: true,
    })
}

const UNKNOWN: [Fate; 3] = [Fate::AnswerLost, Fate::Late, Fate::Lost];

#[test]
fn an_append_whose_answer_is_lost_is_there_once_when_it_is_settled() {
    for fate in UNKNOWN {
        for deliver in [false, true] {
            let storage = MemoryStorage::new(3);
            let mut owned = acquired(&storage);
            append(&mut *owned.journal, 2);
            storage.plan([fate]);
            let appended = append_after(&mut *owned.journal, 2, true);
            assert!(matches!(appended, Appended::Unknown(_)), "{appended:?}");
            assert_eq!(*groups(&*owned.journal).end(), 2, "nobody reads it yet");
            if deliver {
                storage.deliver();
            }
            let settled = settle(&mut *owned.journal, 2);
            assert!(matches!(settled, Appended::Done(3)), "{settled:?}");
            storage.deliver();
            assert_eq!(groups(&*owned.journal), 1..=3);
            append(&mut *owned.journal, 2);
            storage.deliver();
            drop(owned);
            assert_eq!(groups(&*acquired(&storage).journal), 1..=5);
        }
    }
}

#[test]
fn a_settlement_may_be_unknown_too() {
    let storage = MemoryStorage::new(3);
    let mut owned = acquired(&storage);
    for (after, fates) in [
        [Fate::Lost, Fate::Late, Fate::AnswerLost],
        [Fate::Late, Fate::AnswerLost, Fate::Late],
        [Fate::AnswerLost, Fate::Lost, Fate::Lost],
    ]
    .into_iter()
    .enumerate()
    {
        storage.plan(fates);
        let after = after as u64;
        let first = append_after(&mut *owned.journal, after, true);
        assert!(matches!(first, Appended::Unknown(_)));
        for _ in 0..2 {
            let again = settle(&mut *owned.journal, after);
            assert!(matches!(again, Appended::Unknown(_)), "{again:?}");
        }
        let settled = settle(&mut *owned.journal, after);
        assert!(matches!(settled, Appended::Done(number) if number == after + 1));
        storage.deliver();
    }
    drop(owned);
    assert_eq!(groups(&*acquired(&storage).journal), 1..=3);
}

#[test]
fn nothing_is_appended_before_an_unknown_append_is_settled() {
    let storage = MemoryStorage::new(3);
    let mut owned = acquired(&storage);
    storage.plan([Fate::Lost]);
    assert!(matches!(
        append_after(&mut *owned.journal, 0, true),
        Appended::Unknown(_)
    ));
    for after in [0, 1] {
        let appended = append_after(&mut *owned.journal, after, true);
        assert!(matches!(
            appended,
            Appended::Unknown(JournalError::Poisoned { .. })
        ));
    }
    assert!(matches!(settle(&mut *owned.journal, 0), Appended::Done(1)));
    append(&mut *owned.journal, 1);
}

#[test]
fn an_append_that_arrives_after_its_owner_was_deposed_is_refused() {
    for settles in [false, true] {
        for seed in 0..20 {
            let storage = MemoryStorage::new(seed);
            let mut old = acquired(&storage);
            append(&mut *old.journal, 2);
            storage.plan([Fate::Late]);
            let appended = append_after(&mut *old.journal, 2, true);
            assert!(matches!(appended, Appended::Unknown(_)));
            let mut new = acquired(&storage);
            // The append may have arrived before the new owner acquired the store, but not after.
            let found = new.journal.newest();
            assert!(found == 2 || found == 3, "{found}");
            if settles {
                let settled = settle(&mut *old.journal, 2);
                assert!(matches!(settled, Appended::Fenced(_)), "{settled:?}");
            }
            storage.deliver();
            assert_eq!(groups(&*new.journal), 1..=found);
            append(&mut *new.journal, 2);
            storage.deliver();
            drop(new);
            let next = acquired(&storage);
            assert_eq!(groups(&*next.journal), 1..=found + 2);
        }
    }
}

#[test]
fn a_refused_append_never_arrives() {
    let storage = MemoryStorage::new(3);
    let mut owned = acquired(&storage);
    storage.plan([Fate::Refused]);
    let appended = append_after(&mut *owned.journal, 0, true);
    assert!(matches!(appended, Appended::NotWritten(_)), "{appended:?}");
    storage.deliver();
    append(&mut *owned.journal, 2);
    assert_eq!(groups(&*owned.journal), 1..=2);
}

#[test]
fn after_a_failed_sync_of_a_disk_settling_is_unknown_always_and_a_restart_decides() {
    for after_sync in [false, true] {
        let disk = SimDisk::new();
        let subject = on(disk.clone());
        let mut owned = subject.acquire();
        append(&mut *owned.journal, 2);
        disk.fail_on(FaultPoint::SyncData, "journal", 0, 1, DiskFault::Io);
        if after_sync {
            let unsynced = append_after(&mut *owned.journal, 2, false);
            assert!(matches!(unsynced, Appended::Done(3)));
            assert!(owned.journal.sync().is_err());
        } else {
            let appended = append_after(&mut *owned.journal, 2, true);
            assert!(matches!(appended, Appended::Unknown(_)), "{appended:?}");
        }
        for _ in 0..3 {
            let settled = settle(&mut *owned.journal, 2);
            assert!(matches!(settled, Appended::Unknown(_)), "{settled:?}");
            assert!(matches!(
                append_after(&mut *owned.journal, 2, true),
                Appended::Unknown(_)
            ));
            assert!(owned.journal.sync().is_err());
        }
        drop(owned);
        let mut owned = subject.acquire();
        let found = owned.journal.newest();
        assert!(found == 2 || found == 3, "{found}");
        append(&mut *owned.journal, 1);
        assert_eq!(groups(&*owned.journal), 1..=found + 1);
    }
}

#[test]
fn settling_what_was_never_unknown_does_no_harm() {
    let subjects: [Subject; 2] = [on(SimDisk::new()), in_memory(MemoryStorage::new(1))];
    for subject in subjects {
        let mut owned = subject.acquire();
        append(&mut *owned.journal, 2);
        let settled = settle(&mut *owned.journal, 1);
        assert!(!matches!(settled, Appended::NotWritten(_)), "{settled:?}");
        append(&mut *owned.journal, 1);
        assert_eq!(groups(&*owned.journal), 1..=3);
    }
}
