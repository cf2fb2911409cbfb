//! A journal in memory, for tests of what stands above: the same answers, no durability.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::api::{Appended, Journal, JournalReader, Preparer, SegmentInfo};
use super::error::{GroupNumber, JournalError};

/// Groups in memory. A "segment" is one group, so that trimming is exact.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Number of the group before the first in `groups`.
    before: GroupNumber,
    groups: VecDeque<Bytes>,
    fail: Option<Appended>,
    poisoned: bool,
}

impl State {
    fn newest(&self) -> GroupNumber {
        self.before + self.groups.len() as u64
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryJournal {
    /// An empty journal whose first group will be 1.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty journal whose first group will be `before + 1`.
    #[must_use]
    pub fn starting_behind(before: GroupNumber) -> Self {
        let journal = Self::default();
        journal.shared.lock().before = before;
        journal
    }

    /// Makes the next append answer `answer` (not `Done`) instead of appending; `Unknown` poisons.
    pub fn fail_next(&self, answer: Appended) {
        self.shared.lock().fail = Some(answer);
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, after: GroupNumber, payload: &[u8]) -> Appended {
        let mut state = self.shared.lock();
        if state.poisoned {
            return Appended::Unknown(JournalError::Poisoned {
                reason: "injected".into(),
            });
        }
        if let Some(answer) = state.fail.take() {
            state.poisoned = matches!(answer, Appended::Unknown(_));
            return answer;
        }
        let newest = state.newest();
        if after != newest {
            return Appended::NotWritten(JournalError::NotNext { after, newest });
        }
        state.groups.push_back(Bytes::copy_from_slice(payload));
        Appended::Done(newest + 1)
    }

    fn append_unsynced(&mut self, after: GroupNumber, payload: &[u8]) -> Appended {
        self.append(after, payload)
    }

    fn sync(&mut self) -> Result<GroupNumber, JournalError> {
        Ok(self.newest())
    }

    fn newest(&self) -> GroupNumber {
        self.shared.lock().newest()
    }

    fn reader(&self) -> Arc<dyn JournalReader> {
        Arc::clone(&self.shared) as Arc<dyn JournalReader>
    }

    fn trim(&mut self, keep_from: GroupNumber) -> Result<(), JournalError> {
        let mut state = self.shared.lock();
        while state.before + 1 < keep_from && state.groups.pop_front().is_some() {
            state.before += 1;
        }
        Ok(())
    }

    fn wants_preparation(&self) -> bool {
        false
    }

    fn preparer(&self) -> Preparer {
        Preparer::new(|| Ok(()))
    }

    fn bytes(&self) -> u64 {
        self.shared
            .lock()
            .groups
            .iter()
            .map(|group| group.len() as u64)
            .sum()
    }

    fn segments(&self) -> Vec<SegmentInfo> {
        let state = self.shared.lock();
        let numbered = (state.before + 1..).zip(&state.groups);
        numbered
            .map(|(number, group)| SegmentInfo {
                id: number,
                first: number,
                last: number,
                bytes: group.len() as u64,
            })
            .collect()
    }
}

impl JournalReader for Shared {
    fn read(
        &self,
        from: GroupNumber,
        max_bytes: usize,
    ) -> Result<Vec<(GroupNumber, Bytes)>, JournalError> {
        let state = self.lock();
        if from <= state.before {
            return Err(JournalError::Trimmed {
                oldest: state.before + 1,
            });
        }
        let skip = usize::try_from(from - state.before - 1).unwrap_or(usize::MAX);
        let mut groups = Vec::new();
        let mut bytes = 0;
        for (number, group) in (from..).zip(state.groups.iter().skip(skip)) {
            bytes += group.len();
            if !groups.is_empty() && bytes > max_bytes {
                break;
            }
            groups.push((number, group.clone()));
        }
        Ok(groups)
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
        self.lock().before + 1
    }

    fn newest(&self) -> GroupNumber {
        self.lock().newest()
    }
}
