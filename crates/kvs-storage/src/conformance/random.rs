//! Random operations on every implementation, compared with a model.

use super::{Subject, append_after, each, groups, in_memory};
use crate::entropy::SimEntropy;
use crate::journal::{Append, Appended};
use crate::memory::{MemoryStorage, Weather};
use crate::storage::Owned;

/// The expected state.
#[derive(Default)]
struct Model {
    newest: u64,
    durable: u64,
    revision: u64,
    /// Groups of the current and the previous root record.
    roots: (u64, u64),
    epoch: u64,
    /// Nothing has been written under this epoch yet.
    unused: bool,
}

impl Model {
    fn step(&mut self, owned: &mut Owned, random: &SimEntropy) {
        self.unused = false;
        match random.below(10) {
            0..=4 => self.append(owned, random.below(4) > 0),
            5 => {
                assert_eq!(owned.journal.sync().unwrap(), self.newest);
                self.durable = self.newest;
            }
            6 | 7 => {
                let group = self.durable - random.below(1 + self.durable - self.roots.0);
                let content = vec![group as u8; random.below(900) as usize];
                let swapped = owned.root.swap(self.revision, group, &content);
                self.revision = swapped.unwrap();
                self.roots = (group, self.roots.0);
            }
            _ => {
                let before = random.below(self.newest + 2);
                owned.journal.drop_before(before).unwrap();
            }
        }
        self.check(owned);
    }

    fn append(&mut self, owned: &mut Owned, sync: bool) {
        let after = self.newest;
        let mut appended = append_after(&mut *owned.journal, after, sync);
        while let Appended::Unknown(_) = appended {
            appended = owned.journal.settle(Append {
                after,
                id: after + 1,
                payload: &super::payload(after + 1),
                sync,
            });
        }
        assert!(matches!(appended, Appended::Done(number) if number == after + 1));
        self.newest += 1;
        if sync {
            self.durable = self.newest;
        }
    }

    fn check(&self, owned: &Owned) {
        let found = groups(&*owned.journal);
        assert_eq!(*found.end(), self.newest);
        assert!(*found.start() <= self.roots.0.min(self.roots.1) + 1);
        let current = owned.root.load().unwrap().current;
        assert_eq!(current.map_or(0, |root| root.revision), self.revision);
    }

    /// Starts the next owner, after a power cut or without one.
    fn begin(&mut self, owned: &Owned) {
        assert!(owned.epoch.number > self.epoch || self.unused);
        self.epoch = owned.epoch.number;
        self.unused = true;
        let found = owned.journal.newest();
        assert!((self.durable..=self.newest).contains(&found), "{found}");
        (self.newest, self.durable) = (found, found);
        self.check(owned);
    }
}

fn run(subject: &Subject, seed: u64) {
    let random = SimEntropy::new(seed);
    let mut model = Model::default();
    let mut after_cut: Option<Subject> = None;
    for _ in 0..6 {
        let subject = after_cut.as_ref().unwrap_or(subject);
        let mut owned = subject.acquire();
        model.revision = model.revision.max(2);
        model.begin(&owned);
        for _ in 0..random.below(60) {
            model.step(&mut owned, &random);
        }
        drop(owned);
        if let Some(cut) = &subject.cut
            && random.below(2) == 0
        {
            after_cut = Some(cut(random.next()));
        }
    }
}

#[test]
fn random_operations_give_what_a_model_says() {
    for seed in 0..12 {
        each(|subject| run(subject, seed));
    }
}

#[test]
fn random_operations_give_what_a_model_says_in_bad_weather() {
    for seed in 0..200 {
        let storage = MemoryStorage::new(seed);
        storage.set_weather(Weather {
            answer_lost: 3,
            late: 4,
            lost: 5,
        });
        run(&in_memory(storage), seed);
    }
}
