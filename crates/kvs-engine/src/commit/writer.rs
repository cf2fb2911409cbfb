//! The owner of the journal: it appends, syncs and trims, in the order asked.
//!
//! Jobs are done by a thread, beside which the commit task fills the next group. For a job that takes
//! less than waking that thread and being woken by it, the commit task may do it itself. In a
//! simulation all work is done at once on the calling task, so that there is one order of events.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::TryRecvError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use kvs_tree::StoreParams;
use tokio::sync::mpsc;

use super::draft::{Draft, Sealed, seal};
use crate::busy_poll::BusyPoll;
use crate::error::EngineError;
use crate::journal::{Appended, GroupNumber, Journal, JournalError, Preparer};
use crate::record::Record;
use crate::workers::spawn;

/// Roughly what a group takes in the journal beside its payload.
const GROUP_FRAME_BYTES: u64 = 64;

/// What the commit task asks of the journal.
pub(crate) enum Job {
    /// Append a group behind `after`; sync it too unless told not to.
    Append {
        after: GroupNumber,
        time_ms: u64,
        drafts: Vec<Draft>,
        sync: bool,
    },
    /// Make everything appended so far durable.
    Sync,
    /// Drop whole segments before this group.
    Trim { keep_from: GroupNumber },
}

/// What came of it.
pub(crate) enum Done {
    Appended {
        appended: Appended,
        /// What was in the group, in the order of the drafts.
        records: Vec<Record>,
        /// Bytes of it in the journal.
        bytes: u64,
    },
    /// The group cannot be encoded.
    Refused(EngineError),
    Synced(Result<GroupNumber, JournalError>),
    Trimmed(Result<(), JournalError>),
    /// Nothing: the journal's thread has ended although nobody stopped it.
    Gone,
}

/// What came of a job, and the journal's size after it.
pub(crate) struct Report {
    pub(crate) done: Done,
    /// Bytes on disk, all segments.
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

/// Hands jobs to the journal; reports come back on the channel given to [`Writer::start`].
pub(crate) struct Writer {
    place: Place,
    reports: mpsc::UnboundedSender<Report>,
}

impl Writer {
    /// Takes over the journal, for a thread that waits for jobs like that. Without, jobs are done
    /// when they are asked for.
    ///
    /// # Errors
    /// `Busy` if the system refuses a thread.
    pub(crate) fn start(
        journal: Box<dyn Journal>,
        params: StoreParams,
        wait: Option<BusyPoll>,
        reports: mpsc::UnboundedSender<Report>,
    ) -> Result<Self, EngineError> {
        let seat = Seat::new(journal, params);
        let Some(mut wait) = wait else {
            let place = Place::Inline(seat);
            return Ok(Self { place, reports });
        };
        let (jobs, queue) = std::sync::mpsc::channel::<Job>();
        let to = reports.clone();
        let seat = Arc::new(Mutex::new(seat));
        let shared = seat.clone();
        let thread = spawn("kvs-journal", move || {
            while let Some(job) = next(&queue, &mut wait) {
                let report = take(&shared).perform(job);
                if to.send(report).is_err() {
                    break;
                }
                take(&shared).prepare();
            }
        })?;
        take(&seat).preparing = Some(Preparing::start()?);
        Ok(Self {
            place: Place::Thread { jobs, thread, seat },
            reports,
        })
    }

    /// Ends once everything that was asked for is done and the journal is closed.
    pub(crate) fn stop(self) {
        if let Place::Thread { jobs, thread, seat } = self.place {
            drop(jobs);
            let _ = thread.join();
            let preparing = take(&seat).preparing.take();
            preparing.into_iter().for_each(Preparing::stop);
        }
    }

    /// Asks for a job.
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
                if seat.journal.wants_preparation() {
                    // The next append tries again itself.
                    let _ = seat.journal.preparer().run();
                }
            }
        }
    }

    /// Does a job on the calling thread, which it blocks, unless the journal is at work. In a
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
        let report = free.perform(job);
        free.prepare();
        Some(report)
    }
}

/// Waits for a job; `None` when nobody can ask any more.
fn next(queue: &std::sync::mpsc::Receiver<Job>, wait: &mut BusyPoll) -> Option<Job> {
    let job = loop {
        match queue.try_recv() {
            Ok(job) => break Some(job),
            Err(TryRecvError::Disconnected) => break None,
            Err(TryRecvError::Empty) if wait.again(Instant::now()) => wait.give_way(),
            Err(TryRecvError::Empty) => break queue.recv().ok(),
        }
    };
    wait.found(Instant::now());
    job
}

/// The journal, for whoever does the next job.
struct Seat {
    journal: Box<dyn Journal>,
    params: StoreParams,
    preparing: Option<Preparing>,
}

/// The thread that prepares segments beside the work.
struct Preparing {
    orders: std::sync::mpsc::Sender<Preparer>,
    /// An order is not carried out yet.
    busy: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Preparing {
    fn start() -> Result<Self, EngineError> {
        let (orders, queue) = std::sync::mpsc::channel::<Preparer>();
        let busy = Arc::new(AtomicBool::new(false));
        let carried_out = Arc::clone(&busy);
        let thread = spawn("kvs-prepare", move || {
            // On a full disk preparing fails again and again; that is told once, until it has succeeded.
            let mut told = false;
            for preparer in queue {
                let failed = preparer.run().err();
                if let Some(error) = failed.as_ref().filter(|_| !told) {
                    tracing::warn!("the next journal segment could not be prepared: {error}");
                }
                told = failed.is_some();
                carried_out.store(false, Ordering::Release);
            }
        })?;
        Ok(Self {
            orders,
            busy,
            thread,
        })
    }

    /// Has the next segment prepared, unless that is under way.
    fn order(&self, preparer: Preparer) {
        if !self.busy.swap(true, Ordering::AcqRel) {
            // The thread ends only when this sender is gone.
            drop(self.orders.send(preparer));
        }
    }

    fn stop(self) {
        drop(self.orders);
        let _ = self.thread.join();
    }
}

/// Takes the seat. A panic of another thread leaves the journal as it is on disk, or poisoned.
fn take(seat: &Mutex<Seat>) -> MutexGuard<'_, Seat> {
    seat.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seat {
    fn new(journal: Box<dyn Journal>, params: StoreParams) -> Self {
        Self {
            journal,
            params,
            preparing: None,
        }
    }

    fn perform(&mut self, job: Job) -> Report {
        let done = match job {
            Job::Append {
                after,
                time_ms,
                drafts,
                sync,
            } => match seal(drafts, time_ms, &self.params) {
                Ok(sealed) => self.append(after, sealed, sync),
                Err(error) => Done::Refused(error),
            },
            Job::Sync => Done::Synced(self.journal.sync()),
            Job::Trim { keep_from } => Done::Trimmed(self.journal.trim(keep_from)),
        };
        Report {
            done,
            bytes: self.journal.bytes(),
        }
    }

    fn append(&mut self, after: GroupNumber, sealed: Sealed, sync: bool) -> Done {
        let Sealed { records, payload } = sealed;
        let appended = if sync {
            self.journal.append(after, &payload)
        } else {
            self.journal.append_unsynced(after, &payload)
        };
        let bytes = payload.len() as u64 + GROUP_FRAME_BYTES;
        Done::Appended {
            appended,
            records,
            bytes,
        }
    }

    /// Has the next segment prepared beside the work, if that is wanted.
    fn prepare(&self) {
        if let Some(preparing) = &self.preparing
            && self.journal.wants_preparation()
        {
            preparing.order(self.journal.preparer());
        }
    }
}

#[cfg(test)]
mod tests {
    use kvs_tree::HashAlgorithm;

    use super::*;
    use crate::journal::MemoryJournal;

    #[test]
    fn a_journal_whose_thread_is_gone_says_so_to_whom_asks_it() {
        let (reports, mut reported) = mpsc::unbounded_channel();
        let (jobs, queue) = std::sync::mpsc::channel();
        drop(queue);
        let params = StoreParams {
            algorithm: HashAlgorithm::Blake3,
            split_key: [0; 32],
        };
        let seat = Seat::new(Box::new(MemoryJournal::default()), params);
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
