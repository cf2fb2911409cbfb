//! The journal on disk: one writer that appends a group with one write and one sync.
//!
//! A refusal is clean or it is final. A write that failed is undone: zeroed, read back, synced; if
//! that works the answer is "not written". A sync that failed says nothing about what is on disk,
//! and trying again would say less (the kernel forgets what it could not write), so the journal is
//! poisoned until it is opened again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::frame::{GroupHash, NewFrame, encode, frame_len};
use super::preparing::Preparing;
use super::reader::Shared;
use super::recovery::{Recovered, recover};
use super::segment::Segment;
use super::segment_file::{GROUPS_AT, SegmentFile};
use super::spare::{Spare, zero};
use crate::disk::{Disk, DiskError, DiskFile, FileCache, write_all};
use crate::env::Environment;
use crate::journal::{Append, Appended, GroupNumber, Journal, JournalError, JournalReader};
use crate::limits::{GROUP_BYTES, OPEN_FILES, SEGMENT_BYTES, SEGMENT_BYTES_MIN};
use crate::term::Term;

/// How a journal is kept on disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JournalOptions {
    /// Bytes of a new segment, at least [`SEGMENT_BYTES_MIN`]. Existing segments keep their size.
    pub(crate) segment_bytes: u64,
    /// Segments that are kept open for reading, about, however many there are.
    pub(crate) open_files: usize,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES,
            open_files: OPEN_FILES,
        }
    }
}

/// Who prepares the next segment.
#[derive(Debug)]
pub(crate) enum Preparation {
    /// Nobody: an append that needs one makes it.
    None,
    /// The caller of an append, after it.
    Inline,
    /// A thread of its own.
    Thread(Preparing),
}

/// The journal on disk. Owned by one thread; readers are handed out.
#[derive(Debug)]
pub(crate) struct DiskJournal {
    shared: Arc<Shared>,
    spare: Arc<Spare>,
    preparation: Preparation,
    term: Term,
    epoch: u64,
    /// The groups after this one are needed by a slot of the root record.
    needed_after: Arc<AtomicU64>,
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
    /// `replay_from + 1` and up to `replay_from`. A journal without any group continues after
    /// `replay_from`. Everything that can be read is durable.
    ///
    /// # Errors
    /// Damage of the groups from `replay_from` on, except for an end that a power cut may have
    /// torn; [`JournalError::Incomplete`] for a missing segment; disk errors.
    pub(crate) fn open(
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
            epoch,
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
            preparation: Preparation::None,
            term: Term::new(|_| Ok(())),
            epoch,
            needed_after: Arc::new(AtomicU64::new(u64::MAX)),
            active,
            end,
            newest,
            durable: newest,
            last_hash,
            buffer: Vec::new(),
        })
    }

    /// The highest epoch of a group.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Begins an epoch, for as long as `term` lasts. What a slot of the root record needs is kept.
    pub(crate) fn begin(&mut self, epoch: u64, term: Term, needed_after: Arc<AtomicU64>) {
        self.spare.make_while(term.clone());
        (self.epoch, self.term, self.needed_after) = (epoch, term, needed_after);
    }

    /// Has segments prepared, by a thread of its own or by the caller.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn prepare_ahead(&mut self, inline: bool) -> std::io::Result<()> {
        self.preparation = match inline {
            true => Preparation::Inline,
            false => Preparation::Thread(Preparing::start(Arc::clone(&self.spare))?),
        };
        Ok(())
    }

    /// What finds out whether segments are still there.
    pub(crate) fn check_files(
        &self,
        disk: &Arc<dyn Disk>,
    ) -> impl Fn() -> Result<(), DiskError> + use<> {
        // A check must not keep the files of a closed journal open.
        let (shared, disk) = (Arc::downgrade(&self.shared), Arc::clone(disk));
        move || match shared.upgrade() {
            Some(shared) => shared.check_files(&*disk),
            None => Ok(()),
        }
    }

    /// Whether the next segment is not prepared yet.
    pub(super) fn wants_preparation(&self) -> bool {
        !self.spare.is_ready() && self.shared.poisoned().is_none()
    }

    /// What makes the next segment if it is missing, beside appends.
    #[cfg(test)]
    pub(super) fn spare(&self) -> Arc<Spare> {
        Arc::clone(&self.spare)
    }

    /// Has the next segment prepared, if that is wanted.
    fn prepare(&self) {
        match &self.preparation {
            Preparation::None => {}
            Preparation::Inline if self.wants_preparation() => {
                // The next append tries again itself.
                let _ = self.spare.prepare();
            }
            Preparation::Thread(thread) if self.wants_preparation() => thread.order(),
            Preparation::Inline | Preparation::Thread(_) => {}
        }
    }

    /// The segments that can be read, oldest first.
    #[cfg(test)]
    pub(super) fn segments(&self) -> Vec<super::segment_file::SegmentInfo> {
        self.shared.infos()
    }

    /// Makes the journal refuse everything from now on.
    fn poison(&self, error: JournalError) -> JournalError {
        self.shared.poison(&error);
        error
    }

    fn add(&mut self, append: Append<'_>) -> Appended {
        let Append {
            after,
            payload,
            sync: durable,
            ..
        } = append;
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
        if let Err(gone) = self.term.check(false) {
            return Appended::Fenced(JournalError::Fenced(gone));
        }
        let len = frame_len(payload.len()) as u64;
        if self.end + len > self.active.file.capacity
            && let Err(error) = self.make_room(len)
        {
            return match self.shared.poisoned() {
                Some(_) => Appended::Unknown(error),
                None if matches!(error, JournalError::Fenced(_)) => Appended::Fenced(error),
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
                epoch: self.epoch,
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
        // What is written into a file without a name is not kept.
        if let Err(gone) = self.term.check(false) {
            return Appended::Fenced(self.poison(JournalError::Fenced(gone)));
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
    fn append(&mut self, append: Append<'_>) -> Appended {
        let appended = self.add(append);
        self.prepare();
        appended
    }

    fn settle(&mut self, _: Append<'_>) -> Appended {
        let poisoned = self.shared.poisoned();
        Appended::Unknown(poisoned.unwrap_or_else(|| JournalError::Poisoned {
            reason: "only a restart can tell".to_owned(),
        }))
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
        self.term.check(false).map_err(JournalError::Fenced)?;
        self.prepare();
        Ok(self.newest)
    }

    fn newest(&self) -> GroupNumber {
        self.newest
    }

    fn reader(&self) -> Arc<dyn JournalReader> {
        Arc::clone(&self.shared) as Arc<dyn JournalReader>
    }

    fn drop_before(&mut self, keep_from: GroupNumber) -> Result<(), JournalError> {
        if let Some(error) = self.shared.poisoned() {
            return Err(error);
        }
        self.term.check(false).map_err(JournalError::Fenced)?;
        let needed = self.needed_after.load(Ordering::Acquire);
        let keep_from = keep_from.min(needed.saturating_add(1));
        loop {
            let oldest = self.shared.list_mut().first().cloned();
            let Some(oldest) = oldest.filter(|oldest| !Arc::ptr_eq(oldest, &self.active)) else {
                break;
            };
            if oldest.info().last >= keep_from {
                break;
            }
            // Off the list before the file may be reused, but only once its name is gone: files are
            // trimmed oldest first, also when one of them fails.
            self.spare.retire(&oldest)?;
            self.shared.list_mut().remove(0);
        }
        self.prepare();
        Ok(())
    }

    fn bytes(&self) -> u64 {
        let infos = self.shared.infos();
        let segments = infos.iter().map(|segment| segment.bytes).sum::<u64>();
        segments + self.spare.bytes()
    }
}

#[cfg(test)]
impl JournalOptions {
    /// Options with segments of so many bytes.
    #[must_use]
    pub(super) fn with_segment_bytes(segment_bytes: u64) -> Self {
        Self {
            segment_bytes,
            ..Self::default()
        }
    }
}
