//! The journal on disk: one writer that appends each group with one write and one sync.
//!
//! A refused append leaves no trace. A failed write is undone: the range is zeroed, read back and
//! synced; if that succeeds, the result is `NotWritten`. A failed sync leaves the content of the
//! disk unknown, and retrying would hide that, because the kernel drops data that it could not
//! write. The journal is then poisoned until it is opened again.

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

/// Configuration of a journal on disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JournalOptions {
    /// Size of new segments in bytes, at least [`SEGMENT_BYTES_MIN`]; existing ones keep theirs.
    pub(crate) segment_bytes: u64,
    /// Approximate maximum number of segments kept open for reading.
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

/// How the next segment is prepared.
#[derive(Debug)]
pub(crate) enum Preparation {
    /// Not at all: an append that needs a segment creates it.
    None,
    /// By the thread that appends, after each append.
    Inline,
    /// By a dedicated thread.
    Thread(Preparing),
}

/// The journal on disk. Owned by one thread, which can hand out readers.
#[derive(Debug)]
pub(crate) struct DiskJournal {
    shared: Arc<Shared>,
    spare: Arc<Spare>,
    preparation: Preparation,
    term: Term,
    epoch: u64,
    /// A slot of the root record needs the groups after this one.
    needed_after: Arc<AtomicU64>,
    active: Arc<Segment>,
    /// Offset of the next group in the active segment.
    end: u64,
    newest: GroupNumber,
    durable: GroupNumber,
    last_hash: GroupHash,
    buffer: Vec<u8>,
}

impl DiskJournal {
    /// Opens the journal in `dir`, which is created if missing. The journal must begin at group
    /// `replay_from + 1` or earlier and extend at least to `replay_from`. An empty journal
    /// continues after `replay_from`. All readable groups are durable.
    ///
    /// # Errors
    /// Damage in the groups from `replay_from` on, except for a torn end as after a power cut;
    /// [`JournalError::Incomplete`] for a missing segment; disk errors.
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
            sealed,
            next_id,
            free,
        } = recover(&files, dir, segment_bytes, replay_from)?;
        let active = segments.last().filter(|_| !sealed).cloned();
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

    /// Returns the highest epoch of any group.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Begins an epoch, valid during `term`. Groups that a slot of the root record needs are kept.
    pub(crate) fn begin(&mut self, epoch: u64, term: Term, needed_after: Arc<AtomicU64>) {
        self.spare.make_while(term.clone());
        (self.epoch, self.term, self.needed_after) = (epoch, term, needed_after);
    }

    /// Prepares segments ahead of their use, on a dedicated thread or inline.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub(crate) fn prepare_ahead(&mut self, inline: bool) -> std::io::Result<()> {
        self.preparation = match inline {
            true => Preparation::Inline,
            false => Preparation::Thread(Preparing::start(Arc::clone(&self.spare))?),
        };
        Ok(())
    }

    /// Returns a function that checks that the segment files still exist.
    pub(crate) fn check_files(
        &self,
        disk: &Arc<dyn Disk>,
    ) -> impl Fn() -> Result<(), DiskError> + use<> {
        // Weak, so that a check does not keep the files of a closed journal open.
        let (shared, disk) = (Arc::downgrade(&self.shared), Arc::clone(disk));
        move || match shared.upgrade() {
            Some(shared) => shared.check_files(&*disk),
            None => Ok(()),
        }
    }

    /// Returns whether the next segment still has to be prepared.
    pub(super) fn wants_preparation(&self) -> bool {
        !self.spare.is_ready() && self.shared.poisoned().is_none()
    }

    /// Returns the preparer of segments, which works concurrently with appends.
    #[cfg(test)]
    pub(super) fn spare(&self) -> Arc<Spare> {
        Arc::clone(&self.spare)
    }

    /// Prepares the next segment, or requests it, if needed.
    fn prepare(&self) {
        match &self.preparation {
            Preparation::None => {}
            Preparation::Inline if self.wants_preparation() => {
                // On failure the next append tries again itself.
                let _ = self.spare.prepare();
            }
            Preparation::Thread(thread) if self.wants_preparation() => thread.order(),
            Preparation::Inline | Preparation::Thread(_) => {}
        }
    }

    /// Returns the readable segments, oldest first.
    #[cfg(test)]
    pub(super) fn segments(&self) -> Vec<super::segment_file::SegmentInfo> {
        self.shared.infos()
    }

    /// Makes the journal refuse every later operation.
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
        // The store was removed meanwhile: data written to a file without a name is lost.
        if let Err(gone) = self.term.check(false) {
            return Appended::Fenced(self.poison(JournalError::Fenced(gone)));
        }
        self.shared.publish(number);
        Appended::Done(number)
    }

    /// Removes all traces of a group that was written only in part at the end.
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

    /// Switches to the next segment and extends it if the group is longer than a segment.
    fn make_room(&mut self, len: u64) -> Result<(), JournalError> {
        if self.end > GROUPS_AT {
            // A sealed segment is durable in every durability mode.
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
            // Removed from the list before the file can be reused, but only once its name is gone:
            // segments are trimmed oldest first, even if trimming one of them fails.
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
    /// Returns options with segments of `segment_bytes` bytes.
    #[must_use]
    pub(super) fn with_segment_bytes(segment_bytes: u64) -> Self {
        Self {
            segment_bytes,
            ..Self::default()
        }
    }
}
