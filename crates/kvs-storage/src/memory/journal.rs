//! The journal of an in-memory store, as seen by one owner.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::medium::{Fate, Late, Medium, Shared, Stored, lock};
use crate::failure::Failure;
use crate::journal::{Append, Appended, GroupNumber, Journal, JournalError, JournalReader};

/// The journal of one owner. The unit of trimming is one group, so trimming is exact.
pub(super) struct MemoryJournal {
    shared: Shared,
    epoch: u64,
    /// The newest group that was returned as `Done`.
    newest: Arc<AtomicU64>,
    /// An append returned `Unknown` and is not settled.
    unsettled: bool,
}

impl MemoryJournal {
    pub(super) fn new(shared: Shared) -> Self {
        let (epoch, newest) = {
            let medium = lock(&shared);
            (medium.epoch.number, medium.newest())
        };
        Self {
            shared,
            epoch,
            newest: Arc::new(AtomicU64::new(newest)),
            unsettled: false,
        }
    }

    fn done(&mut self, number: GroupNumber) -> Appended {
        self.unsettled = false;
        self.newest.store(number, Ordering::Release);
        Appended::Done(number)
    }

    fn unknown(&mut self) -> Appended {
        self.unsettled = true;
        let text = "the answer to an append did not arrive";
        let failure = Failure::new(std::io::ErrorKind::TimedOut, text);
        Appended::Unknown(JournalError::Disk(failure))
    }

    fn late(&self, append: Append<'_>) -> Late {
        Late {
            after: append.after,
            group: Stored {
                epoch: self.epoch,
                id: append.id,
                payload: Bytes::copy_from_slice(append.payload),
            },
            sync: append.sync,
        }
    }

    /// Performs the append, or not, according to its fate.
    fn send(&mut self, append: Append<'_>, fate: Fate) -> Appended {
        let late = self.late(append);
        match fate {
            Fate::Done | Fate::Refused => {
                let arrived = lock(&self.shared).arrive(late);
                match arrived {
                    true => self.done(append.after + 1),
                    false => self.unknown(),
                }
            }
            Fate::AnswerLost => {
                lock(&self.shared).arrive(late);
                self.unknown()
            }
            Fate::Late => {
                lock(&self.shared).late.push(late);
                self.unknown()
            }
            Fate::Lost => self.unknown(),
        }
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, append: Append<'_>) -> Appended {
        if self.unsettled {
            let reason = "an earlier append is not settled".to_owned();
            return Appended::Unknown(JournalError::Poisoned { reason });
        }
        let fate = {
            let mut medium = lock(&self.shared);
            medium.some_arrive();
            if let Err(over) = medium.fenced(self.epoch) {
                return Appended::Fenced(JournalError::Fenced(over));
            }
            let (after, newest) = (append.after, medium.newest());
            if after != newest {
                return Appended::NotWritten(JournalError::NotNext { after, newest });
            }
            if let Err(full) = medium.room() {
                return Appended::NotWritten(JournalError::from_failure(full));
            }
            medium.fate()
        };
        if fate == Fate::Refused {
            let failure = Failure::new(std::io::ErrorKind::Other, "the append was refused");
            return Appended::NotWritten(JournalError::Disk(failure));
        }
        self.send(append, fate)
    }

    fn settle(&mut self, append: Append<'_>) -> Appended {
        let (is_there, fate) = {
            let mut medium = lock(&self.shared);
            medium.some_arrive();
            if let Err(over) = medium.fenced(self.epoch) {
                return Appended::Fenced(JournalError::Fenced(over));
            }
            let found = medium.group(append.after + 1);
            let found = found.map(|group| (group.epoch, group.id));
            (found == Some((self.epoch, append.id)), medium.fate())
        };
        match (is_there, fate) {
            (true, Fate::Done | Fate::Refused) => self.done(append.after + 1),
            (true, _) => self.unknown(),
            (false, fate) => self.send(append, fate),
        }
    }

    fn sync(&mut self) -> Result<GroupNumber, JournalError> {
        let mut medium = lock(&self.shared);
        medium.fenced(self.epoch).map_err(JournalError::Fenced)?;
        medium.durable = medium.newest();
        Ok(self.newest.load(Ordering::Acquire))
    }

    fn newest(&self) -> GroupNumber {
        self.newest.load(Ordering::Acquire)
    }

    fn reader(&self) -> Arc<dyn JournalReader> {
        Arc::new(Reader {
            shared: self.shared.clone(),
            newest: self.newest.clone(),
        })
    }

    fn drop_before(&mut self, keep_from: GroupNumber) -> Result<(), JournalError> {
        let mut medium = lock(&self.shared);
        medium.fenced(self.epoch).map_err(JournalError::Fenced)?;
        let needed = medium.slots.needed_after().unwrap_or(0);
        let keep_from = keep_from.min(needed + 1);
        // As on a disk, the newest group is kept.
        while medium.before + 1 < keep_from && medium.groups.len() > 1 {
            medium.groups.pop_front();
            medium.before += 1;
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        let medium = lock(&self.shared);
        let groups = medium.groups.iter();
        groups.map(|group| group.payload.len() as u64).sum()
    }
}

struct Reader {
    shared: Shared,
    newest: Arc<AtomicU64>,
}

/// Returns the groups from `from` to `newest` as far as `max_bytes` allow, but at least one.
fn groups(
    medium: &Medium,
    (from, newest): (GroupNumber, GroupNumber),
    max_bytes: usize,
) -> Result<Vec<(GroupNumber, Bytes)>, JournalError> {
    if from <= medium.before {
        let oldest = medium.before + 1;
        return Err(JournalError::Trimmed { oldest });
    }
    let mut found = Vec::new();
    let mut bytes = 0;
    for number in from..=newest {
        let Some(group) = medium.group(number) else {
            break;
        };
        bytes += group.payload.len();
        if !found.is_empty() && bytes > max_bytes {
            break;
        }
        found.push((number, group.payload.clone()));
    }
    Ok(found)
}

impl JournalReader for Reader {
    fn read(
        &self,
        from: GroupNumber,
        max_bytes: usize,
    ) -> Result<Vec<(GroupNumber, Bytes)>, JournalError> {
        groups(&lock(&self.shared), (from, self.newest()), max_bytes)
    }

    fn look(
        &self,
        from: GroupNumber,
        max_bytes: usize,
        _: &mut Vec<u8>,
        each: &mut dyn FnMut(GroupNumber, &[u8]) -> bool,
    ) -> Result<(), JournalError> {
        let groups = self.read(from, max_bytes)?;
        let _ = groups.iter().all(|(number, group)| each(*number, group));
        Ok(())
    }

    fn oldest(&self) -> GroupNumber {
        lock(&self.shared).before + 1
    }

    fn newest(&self) -> GroupNumber {
        self.newest.load(Ordering::Acquire)
    }
}
