//! The journal on disk: one writer that appends a group with one write and one sync.
//!
//! A refusal is clean or it is final. A write that failed is undone: zeroed, read back, synced; if
//! that works the answer is "not written". A sync that failed says nothing about what is on disk, and
//! trying again would say less (the kernel forgets what it could not write), so the journal is
//! poisoned until it is opened anew.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::api::{Appended, Journal, JournalReader, Preparer, SegmentInfo};
use super::error::{GroupNumber, JournalError};
use super::frame::{GroupHash, NewFrame, encode, frame_len};
use super::reader::Shared;
use super::recovery::{Recovered, recover};
use super::segment::Segment;
use super::segment_file::{GROUPS_AT, SegmentFile};
use super::spare::{Spare, zero};
use crate::disk::{DiskError, DiskFile, FileCache, write_all};
use crate::env::Environment;
use crate::limits::{GROUP_BYTES, OPEN_FILES, SEGMENT_BYTES, SEGMENT_BYTES_MIN};

/// Bytes asked for at once while replaying.
const REPLAY_BYTES: usize = 1024 * 1024;

/// How a journal is kept on disk.
#[derive(Debug, Clone, Copy)]
pub struct JournalOptions {
    /// Bytes of a new segment, at least [`SEGMENT_BYTES_MIN`]. Existing segments keep their size.
    pub segment_bytes: u64,
    /// Segments that are kept open for reading, about, however many there are.
    pub open_files: usize,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES,
            open_files: OPEN_FILES,
        }
    }
}

/// The journal on disk. Owned by one thread; readers and the preparer are handed out.
#[derive(Debug)]
pub struct DiskJournal {
    shared: Arc<Shared>,
    spare: Arc<Spare>,
    active: Arc<Segment>,
    /// Where the next group goes in the active segment.
    end: u64,
    newest: GroupNumber,
    durable: GroupNumber,
    last_hash: GroupHash,
    buffer: Vec<u8>,
}

impl DiskJournal {
    /// Opens the journal in `dir` (made if it is missing), which must reach back to group
    /// `replay_from + 1` and up to `replay_from`, and hands the groups behind `replay_from` to
    /// `on_group` in order. A journal without any group continues behind `replay_from`. Everything
    /// that is handed over is durable.
    ///
    /// # Errors
    /// What `on_group` answers; damage of the groups from `replay_from` on, except for an end that a
    /// power cut may have torn; [`JournalError::Incomplete`] for a missing segment; disk errors.
    pub fn open<E: From<JournalError>>(
        env: &Environment,
        dir: &Path,
        options: JournalOptions,
        replay_from: GroupNumber,
        on_group: &mut dyn FnMut(GroupNumber, Bytes) -> Result<(), E>,
    ) -> Result<Self, E> {
        let journal = Self::recover(env, dir, options, replay_from)?;
        let reader = journal.reader();
        let mut next = replay_from + 1;
        while next <= journal.newest {
            for (number, payload) in reader.read(next, REPLAY_BYTES)? {
                on_group(number, payload)?;
                next = number + 1;
            }
        }
        Ok(journal)
    }

    fn recover(
        env: &Environment,
        dir: &Path,
        options: JournalOptions,
        replay_from: GroupNumber,
    ) -> Result<Self, JournalError> {
        env.disk
            .create_dir(dir)
            .map_err(DiskError::at(dir, "make"))?;
        let segment_bytes = options
            .segment_bytes
            .max(SEGMENT_BYTES_MIN)
            .next_multiple_of(512);
        let files = FileCache::new(&env.disk, options.open_files);
        let Recovered {
            segments,
            newest,
            last_hash,
            end,
            next_id,
            free,
        } = recover(&files, dir, segment_bytes, replay_from)?;
        let active = segments.last().cloned();
        let shared = Arc::new(Shared::new(segments, newest));
        let spare = Arc::new(Spare::new(
            env,
            files,
            dir,
            segment_bytes,
            Arc::clone(&shared),
            next_id,
            free,
        ));
        let active = match active {
            Some(active) => active,
            None => {
                let first = Arc::new(Segment::empty(spare.take()?, newest + 1));
                shared.list_mut().push(Arc::clone(&first));
                first
            }
        };
        Ok(Self {
            shared,
            spare,
            active,
            end,
            newest,
            durable: newest,
            last_hash,
            buffer: Vec::new(),
        })
    }

    /// Makes the journal refuse everything from now on.
    fn poison(&self, error: JournalError) -> JournalError {
        self.shared.poison(&error);
        error
    }

    fn add(&mut self, after: GroupNumber, payload: &[u8], durable: bool) -> Appended {
        if let Some(error) = self.shared.poisoned() {
            return Appended::Unknown(error);
        }
        if after != self.newest {
            let newest = self.newest;
            return Appended::NotWritten(JournalError::NotNext { after, newest });
        }
        if payload.len() > GROUP_BYTES {
            let (bytes, limit) = (payload.len(), GROUP_BYTES);
            return Appended::NotWritten(JournalError::TooBig { bytes, limit });
        }
        let len = frame_len(payload.len()) as u64;
        if self.end + len > self.active.file.capacity
            && let Err(error) = self.make_room(len)
        {
            return match self.shared.poisoned() {
                Some(_) => Appended::Unknown(error),
                None => Appended::NotWritten(error),
            };
        }
        let number = self.newest + 1;
        let hash = encode(
            &mut self.buffer,
            NewFrame {
                identity: self.active.file.identity,
                number,
                durable: self.durable,
                previous: &self.last_hash,
                payload,
            },
        );
        let file = &self.active.file;
        if let Err(error) = write_all(&*file.file, &self.buffer, self.end) {
            let error = file.failed("write", error);
            return match self.undo(len) {
                Ok(()) => Appended::NotWritten(error),
                Err(_) => Appended::Unknown(self.poison(error)),
            };
        }
        if durable && let Err(error) = file.file.sync_data() {
            return Appended::Unknown(self.poison(file.failed("sync", error)));
        }
        self.active.push(number, self.end, self.end + len);
        self.end += len;
        self.newest = number;
        self.last_hash = hash;
        if durable {
            self.durable = number;
        }
        self.shared.publish(number);
        Appended::Done(number)
    }

    /// Leaves no trace of a group that was not wholly written at the end.
    fn undo(&self, len: u64) -> Result<(), JournalError> {
        let file = &self.active.file;
        let to = self.end + len;
        zero(&*file.file, self.end, to).map_err(|error| file.failed("zero", error))?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if file.read(self.end, len)?.iter().any(|byte| *byte != 0) {
            return Err(file.corrupt(self.end, "zeros were written, but not read back"));
        }
        file.file
            .sync_data()
            .map_err(|error| file.failed("sync", error))
    }

    /// Goes to the next segment, and makes it as long as a group that would fit in none.
    fn make_room(&mut self, len: u64) -> Result<(), JournalError> {
        if self.end > GROUPS_AT {
            // A sealed segment is durable, whatever the mode.
            self.sync()?;
            let next = Arc::new(Segment::empty(self.spare.take()?, self.newest + 1));
            self.shared.list_mut().push(Arc::clone(&next));
            self.active.file.file.release();
            self.active = next;
            self.end = GROUPS_AT;
        }
        let capacity = GROUPS_AT + len;
        let file = &self.active.file;
        if capacity <= file.capacity {
            return Ok(());
        }
        file.file
            .allocate(capacity)
            .map_err(|error| file.failed("preallocate", error))?;
        let longer = SegmentFile {
            capacity,
            ..file.clone()
        };
        let longer = Arc::new(Segment::empty(longer, self.newest + 1));
        if let Some(last) = self.shared.list_mut().last_mut() {
            *last = Arc::clone(&longer);
        }
        self.active = longer;
        Ok(())
    }
}

impl Journal for DiskJournal {
    fn append(&mut self, after: GroupNumber, payload: &[u8]) -> Appended {
        self.add(after, payload, true)
    }

    fn append_unsynced(&mut self, after: GroupNumber, payload: &[u8]) -> Appended {
        self.add(after, payload, false)
    }

    fn sync(&mut self) -> Result<GroupNumber, JournalError> {
        if let Some(error) = self.shared.poisoned() {
            return Err(error);
        }
        if self.durable < self.newest {
            let file = &self.active.file;
            file.file
                .sync_data()
                .map_err(|error| self.poison(file.failed("sync", error)))?;
            self.durable = self.newest;
        }
        Ok(self.newest)
    }

    fn newest(&self) -> GroupNumber {
        self.newest
    }

    fn reader(&self) -> Arc<dyn JournalReader> {
        Arc::clone(&self.shared) as Arc<dyn JournalReader>
    }

    fn trim(&mut self, keep_from: GroupNumber) -> Result<(), JournalError> {
        if let Some(error) = self.shared.poisoned() {
            return Err(error);
        }
        loop {
            let oldest = self.shared.list_mut().first().cloned();
            let Some(oldest) = oldest.filter(|oldest| !Arc::ptr_eq(oldest, &self.active)) else {
                return Ok(());
            };
            if oldest.info().last >= keep_from {
                return Ok(());
            }
            // Off the list before the file may be reused, but only once its name is gone: files are
            // trimmed oldest first, also when one of them fails.
            self.spare.retire(&oldest)?;
            self.shared.list_mut().remove(0);
        }
    }

    fn wants_preparation(&self) -> bool {
        !self.spare.is_ready() && self.shared.poisoned().is_none()
    }

    fn preparer(&self) -> Preparer {
        let spare = Arc::clone(&self.spare);
        Preparer::new(move || spare.prepare())
    }

    fn bytes(&self) -> u64 {
        let segments = self
            .segments()
            .iter()
            .map(|segment| segment.bytes)
            .sum::<u64>();
        segments + self.spare.bytes()
    }

    fn segments(&self) -> Vec<SegmentInfo> {
        self.shared.infos()
    }
}

impl JournalOptions {
    /// Options with segments of so many bytes.
    #[must_use]
    pub fn with_segment_bytes(segment_bytes: u64) -> Self {
        Self {
            segment_bytes,
            ..Self::default()
        }
    }
}
