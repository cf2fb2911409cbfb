//! Conformance tests for the journal.

use super::{append, append_after, each, groups, payload, swap};
use crate::journal::{Append, Appended, JournalError};

#[test]
fn a_new_store_has_no_group() {
    each(|subject| {
        let owned = subject.acquire();
        assert_eq!(owned.journal.newest(), 0);
        assert!(groups(&*owned.journal).is_empty());
    });
}

#[test]
fn groups_are_read_as_they_were_appended_also_by_the_next_owner() {
    each(|subject| {
        let mut owned = subject.acquire();
        append(&mut *owned.journal, 60);
        assert_eq!(groups(&*owned.journal), 1..=60);
        drop(owned);
        let mut owned = subject.acquire();
        assert_eq!(groups(&*owned.journal), 1..=60);
        append(&mut *owned.journal, 5);
        assert_eq!(groups(&*owned.journal), 1..=65);
    });
}

#[test]
fn a_group_that_follows_another_than_the_newest_is_refused_without_a_trace() {
    each(|subject| {
        let mut owned = subject.acquire();
        append(&mut *owned.journal, 3);
        for after in [0, 2, 4, u64::MAX - 1] {
            let appended = owned.journal.append(Append {
                after,
                id: 1000 + after % 10,
                payload: b"x",
                sync: true,
            });
            let Appended::NotWritten(JournalError::NotNext { newest: 3, .. }) = appended else {
                panic!("{appended:?}")
            };
        }
        append(&mut *owned.journal, 1);
        assert_eq!(groups(&*owned.journal), 1..=4);
    });
}

#[test]
fn what_was_not_synced_is_lost_from_some_group_on_and_what_was_is_not() {
    for seed in 0..10 {
        each(|subject| {
            let Some(cut) = &subject.cut else { return };
            let mut owned = subject.acquire();
            append(&mut *owned.journal, 2);
            for after in 2..5 {
                let appended = append_after(&mut *owned.journal, after, false);
                assert!(matches!(appended, Appended::Done(_)));
            }
            assert_eq!(owned.journal.sync().unwrap(), 5);
            for after in 5..9 {
                let appended = append_after(&mut *owned.journal, after, false);
                assert!(matches!(appended, Appended::Done(_)));
            }
            assert_eq!(groups(&*owned.journal), 1..=9);
            drop(owned);
            let after = cut(seed);
            let mut owned = after.acquire();
            let left = *groups(&*owned.journal).end();
            assert!((5..=9).contains(&left), "{left}");
            append(&mut *owned.journal, 2);
            assert_eq!(groups(&*owned.journal), 1..=left + 2);
        });
    }
}

#[test]
fn a_group_that_is_read_before_it_is_there_is_none_and_one_that_was_removed_is_trimmed() {
    each(|subject| {
        let mut owned = subject.acquire();
        append(&mut *owned.journal, 100);
        swap(&owned, 90, b"");
        swap(&owned, 90, b"");
        owned.journal.drop_before(80).unwrap();
        let reader = owned.journal.reader();
        assert!(reader.read(101, 10).unwrap().is_empty());
        let oldest = reader.oldest();
        assert!((2..=80).contains(&oldest), "{oldest}");
        for from in [0, 1, oldest - 1] {
            let Err(JournalError::Trimmed { oldest: left }) = reader.read(from, 10) else {
                panic!("{from}")
            };
            assert_eq!(left, oldest);
        }
        assert_eq!(groups(&*owned.journal), oldest..=100);
        drop(owned);
        assert_eq!(groups(&*subject.acquire().journal), oldest..=100);
    });
}

#[test]
fn nothing_is_removed_that_either_slot_of_the_root_record_needs() {
    each(|subject| {
        let mut owned = subject.acquire();
        append(&mut *owned.journal, 100);
        let mut check = |group: u64, needed: u64| {
            swap(&owned, group, b"");
            owned.journal.drop_before(u64::MAX).unwrap();
            let oldest = owned.journal.reader().oldest();
            assert!(oldest <= needed + 1, "{oldest} {needed}");
            oldest
        };
        assert_eq!(check(0, 0), 1);
        assert_eq!(check(60, 0), 1);
        check(90, 60);
        let oldest = check(90, 90);
        assert!(oldest > 2, "{oldest}");
    });
}

#[test]
fn a_full_store_refuses_cleanly_and_goes_on_when_there_is_space() {
    each(|subject| {
        let Some(fill) = &subject.fill else { return };
        let mut owned = subject.acquire();
        append(&mut *owned.journal, 1);
        fill(true);
        let mut newest = 1;
        let refused = loop {
            match append_after(&mut *owned.journal, newest, true) {
                Appended::Done(number) => newest = number,
                Appended::NotWritten(JournalError::NoSpace(_)) => break true,
                _ => break false,
            }
        };
        assert!(refused);
        assert_eq!(owned.journal.newest(), newest);
        assert_eq!(groups(&*owned.journal), 1..=newest);
        fill(false);
        append(&mut *owned.journal, 3);
        drop(owned);
        assert_eq!(groups(&*subject.acquire().journal), 1..=newest + 3);
    });
}

#[test]
fn looking_through_groups_shows_them_until_it_is_enough() {
    each(|subject| {
        let mut owned = subject.acquire();
        append(&mut *owned.journal, 9);
        let (mut seen, mut buffer) = (Vec::new(), vec![7; 3]);
        let mut each = |number: u64, found: &[u8]| {
            assert!(found == payload(number));
            seen.push(number);
            number < 5
        };
        let reader = owned.journal.reader();
        reader.look(3, 1 << 20, &mut buffer, &mut each).unwrap();
        assert_eq!(seen, [3, 4, 5]);
    });
}
