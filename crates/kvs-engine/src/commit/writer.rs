//! The owner of the journal. Appends, syncs and trims in the order requested.
//!
//! Jobs run on a thread of their own while the commit task fills the next group. The commit task
//! may run a job itself if that takes less time than waking the thread and being woken by it. In a
//! simulation all jobs run at once on the calling task, so that events have one order.

use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::mpsc;

use super::draft::{Begun, Draft, Sealed, seal};
use super::packing::Packs;
use crate::busy_poll::BusyPoll;
use crate::error::EngineError;
use crate::journal::{Append, Appended, GroupNumber, Journal, JournalError};
use crate::limits::PRESENCE_PERIOD;
use crate::pack::{PackId, Staged};
use crate::settle;
use crate::state::Record;
use crate::store::Store;
use crate::term::Term;
use crate::workers::spawn;

/// Approximate size of a group in the journal besides its payload.
const GROUP_FRAME_BYTES: u64 = 64;

/// A request to the journal.
pub(crate) enum Job {
    /// Append a group after `after`; sync it if `sync` is set.
    Append {
        after: GroupNumber,
        begun: Begun,
        drafts: Vec<Draft>,
        /// What must be in packs before the group is written.
        staged: Vec<Arc<Staged>>,
        sync: bool,
    },
    /// Make everything appended so far durable.
    Sync,
    /// Drop whole segments before this group.
    Trim { keep_from: GroupNumber },
}

/// The result of a job.
pub(crate) enum Done {
    Appended {
        appended: Appended,
        /// Packs that the group registers.
        packs: Vec<PackId>,
        /// The records of the group, in the order of the drafts.
        records: Vec<Record>,
        /// Size of the group in the journal.
        bytes: u64,
    },
    /// The group could not be encoded, or its packs could not be written.
    Refused(EngineError),
    Synced(Result<GroupNumber, JournalError>),
    /// The store has been removed.
    Removed(EngineError),
    Trimmed(Result<(), JournalError>),
    /// The journal's thread has ended although it was not stopped.
    Gone,
}

/// The result of a job, and the journal's size after it.
pub(crate) struct Report {
    pub(crate) done: Done,
    /// Bytes on disk, in all segments.
    pub(crate) bytes: u64,
}

enum Place {
    Thread {
        jobs: std::sync::mpsc::Sender<Job>,
        thread: JoinHandle<()>,
        seat: Arc<Mutex<Seat>>,
    },
    Inline(Seat),
}

/// Submits jobs to the journal. Reports arrive on the channel given to [`Writer::start`].
pub(crate) struct Writer {
    place: Place,
    reports: mpsc::UnboundedSender<Report>,
}

impl Writer {
    /// Takes over the journal. With `wait`, starts a thread that waits for jobs in this way;
    /// without it, each job runs when it is submitted.
    ///
    /// # Errors
    /// `Busy` if the system refuses a thread.
    pub(crate) fn start(
        journal: Box<dyn Journal>,
        store: Arc<Store>,
        term: Term,
        wait: Option<BusyPoll>,
        reports: mpsc::UnboundedSender<Report>,
    ) -> Result<Self, EngineError> {
        let seat = Seat::new(journal, store, term);
        let Some(mut wait) = wait else {
            let place = Place::Inline(seat);
            return Ok(Self { place, reports });
        };
        let (jobs, queue) = std::sync::mpsc::channel::<Job>();
        let to = reports.clone();
        let seat = Arc::new(Mutex::new(seat));
        let shared = seat.clone();
        let thread = spawn("kvs-journal", move || {
            let mut looked = Instant::now();
            loop {
                let report = match next(&queue, &mut wait) {
                    Next::Job(job) => Some(take(&shared).perform(job)),
                    Next::Idle => None,
                    Next::End => break,
                };
                if report.is_some_and(|report| to.send(report).is_err()) {
                    break;
                }
                if looked.elapsed() >= PRESENCE_PERIOD {
                    let gone = take(&shared).gone();
                    if gone.is_some_and(|report| to.send(report).is_err()) {
                        break;
                    }
                    looked = Instant::now();
                }
            }
        })?;
        Ok(Self {
            place: Place::Thread { jobs, thread, seat },
            reports,
        })
    }

    /// Returns once all submitted jobs are done and the journal is closed.
    pub(crate) fn stop(self) {
        if let Place::Thread { jobs, thread, seat } = self.place {
            drop((jobs, seat));
            let _ = thread.join();
        }
    }

    /// Submits a job.
    pub(crate) fn submit(&mut self, job: Job) {
        match &mut self.place {
            Place::Thread { jobs, .. } => {
                if jobs.send(job).is_err() {
                    let (done, bytes) = (Done::Gone, 0);
                    let _ = self.reports.send(Report { done, bytes });
                }
            }
            Place::Inline(seat) => {
                let report = seat.perform(job);
                let _ = self.reports.send(report);
            }
        }
    }

    /// Runs a job on the calling thread, which it blocks, unless the journal is at work. In a
    /// simulation this is [`submit`](Self::submit).
    pub(crate) fn perform_here(&mut self, job: Job) -> Option<Report> {
        let Place::Thread { seat, .. } = &self.place else {
            self.submit(job);
            return None;
        };
        let Ok(mut free) = seat.try_lock() else {
            self.submit(job);
            return None;
        };
        Some(free.perform(job))
    }
}

enum Next {
    Job(Job),
    /// No job came for a while.
    Idle,
    /// All senders are gone.
    End,
}

/// Waits for a job.
fn next(queue: &std::sync::mpsc::Receiver<Job>, wait: &mut BusyPoll) -> Next {
    let job = loop {
        match queue.try_recv() {
            Ok(job) => break Next::Job(job),
            Err(TryRecvError::Disconnected) => break Next::End,
            Err(TryRecvError::Empty) if wait.again(Instant::now()) => wait.give_way(),
            Err(TryRecvError::Empty) => match queue.recv_timeout(PRESENCE_PERIOD) {
                Ok(job) => break Next::Job(job),
                Err(RecvTimeoutError::Timeout) => return Next::Idle,
                Err(RecvTimeoutError::Disconnected) => break Next::End,
            },
        }
    };
    wait.found(Instant::now());
    job
}

/// The journal, locked by the thread that runs the next job.
struct Seat {
    journal: Box<dyn Journal>,
    store: Arc<Store>,
    term: Term,
    /// The id of the next append.
    next_id: u64,
}

/// Locks the journal. If another thread panicked, the journal is as it is on disk, or poisoned.
fn take(seat: &Mutex<Seat>) -> MutexGuard<'_, Seat> {
    seat.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seat {
    fn new(journal: Box<dyn Journal>, store: Arc<Store>, term: Term) -> Self {
        Self {
            journal,
            store,
            term,
            next_id: 1,
        }
    }

    /// The report for a store that has been removed; else `None`.
    fn gone(&self) -> Option<Report> {
        let gone = self.term.check(true).err()?;
        Some(Report {
            done: Done::Removed(JournalError::from(gone).into()),
            bytes: self.journal.bytes(),
        })
    }

    fn perform(&mut self, job: Job) -> Report {
        let done = match job {
            Job::Append {
                after,
                begun,
                drafts,
                staged,
                sync,
            } => self
                .append(after, begun, drafts, &staged, sync)
                .unwrap_or_else(Done::Refused),
            Job::Sync => Done::Synced(self.journal.sync()),
            Job::Trim { keep_from } => Done::Trimmed(self.journal.drop_before(keep_from)),
        };
        Report {
            done,
            bytes: self.journal.bytes(),
        }
    }

    fn append(
        &mut self,
        after: GroupNumber,
        begun: Begun,
        drafts: Vec<Draft>,
        staged: &[Arc<Staged>],
        sync: bool,
    ) -> Result<Done, EngineError> {
        let mut packs = Packs::of(&self.store, staged)?;
        let params = self.store.objects.params();
        let Sealed { records, payload } = seal(packs.records(), drafts, begun, params)?;
        let append = Append {
            after,
            id: self.next_id,
            payload: &payload,
            sync,
        };
        self.next_id += 1;
        let appended = settle::append(&mut *self.journal, append);
        let packs = packs.settle(&appended);
        let bytes = payload.len() as u64 + GROUP_FRAME_BYTES;
        Ok(Done::Appended {
            appended,
            packs,
            records,
            bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EngineConfig;
    use crate::env::Environment;
    use kvs_storage::SimDisk;

    #[test]
    fn a_journal_whose_thread_is_gone_says_so_to_whom_asks_it() {
        let (reports, mut reported) = mpsc::unbounded_channel();
        let (jobs, queue) = std::sync::mpsc::channel();
        drop(queue);
        let env = Environment::simulated(SimDisk::unrecorded(), 1);
        let config = EngineConfig::new("/store", 0);
        let storage = kvs_storage::memory::MemoryStorage::new(1);
        let recovered = crate::recovery::open(&storage, &config, &env, None).unwrap();
        let term = recovered.ownership.term();
        let seat = Seat::new(recovered.journal, recovered.store, term);
        let mut writer = Writer {
            place: Place::Thread {
                jobs,
                thread: spawn("test", || {}).unwrap(),
                seat: Arc::new(Mutex::new(seat)),
            },
            reports,
        };
        writer.submit(Job::Sync);
        let report = reported.try_recv().unwrap();
        assert!(matches!(report.done, Done::Gone));
        writer.stop();
    }
}
