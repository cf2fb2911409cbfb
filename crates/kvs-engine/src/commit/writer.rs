//! The owner of the journal: one thread that appends, syncs and trims, in the order asked.
//!
//! In a simulation the work is done at once on the calling task instead, so that there is one order
//! of events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use crate::journal::{Appended, GroupNumber, Journal, JournalError};

/// What the commit task asks of the journal.
pub(crate) enum Job {
    /// Append a group behind `after`; sync it too unless told not to.
    Append {
        after: GroupNumber,
        payload: Vec<u8>,
        sync: bool,
    },
    /// Make everything appended so far durable.
    Sync,
    /// Drop whole segments before this group.
    Trim { keep_from: GroupNumber },
}

/// What came of it.
pub(crate) enum Done {
    Appended(Appended),
    Synced(Result<GroupNumber, JournalError>),
    Trimmed(Result<(), JournalError>),
}

/// What came of a job, and the journal's size after it.
pub(crate) struct Report {
    pub(crate) done: Done,
    /// Bytes on disk, all segments.
    pub(crate) bytes: u64,
}

enum Place {
    Thread(std::sync::mpsc::Sender<Job>, std::thread::JoinHandle<()>),
    Inline(Box<dyn Journal>),
}

/// Hands jobs to the journal's owner; reports come back on the channel given to [`Writer::start`].
pub(crate) struct Writer {
    place: Place,
    reports: mpsc::UnboundedSender<Report>,
}

impl Writer {
    /// Takes over the journal. With `inline`, jobs are done when they are asked for.
    pub(crate) fn start(
        journal: Box<dyn Journal>,
        inline: bool,
        reports: mpsc::UnboundedSender<Report>,
    ) -> std::io::Result<Self> {
        if inline {
            return Ok(Self {
                place: Place::Inline(journal),
                reports,
            });
        }
        let (jobs, queue) = std::sync::mpsc::channel();
        let to = reports.clone();
        let thread = std::thread::Builder::new()
            .name("kvs-journal".into())
            .spawn(move || run(journal, &queue, &to))?;
        Ok(Self {
            place: Place::Thread(jobs, thread),
            reports,
        })
    }

    /// Ends once everything that was asked for is done and the journal is closed.
    pub(crate) fn stop(self) {
        if let Place::Thread(jobs, thread) = self.place {
            drop(jobs);
            let _ = thread.join();
        }
    }

    pub(crate) fn submit(&mut self, job: Job) {
        match &mut self.place {
            // The thread ends only when this sender is gone.
            Place::Thread(jobs, _) => drop(jobs.send(job)),
            Place::Inline(journal) => {
                let report = perform(journal.as_mut(), job);
                let _ = self.reports.send(report);
                if journal.wants_preparation() {
                    // The next append tries again itself.
                    let _ = journal.preparer().run();
                }
            }
        }
    }
}

fn run(
    mut journal: Box<dyn Journal>,
    queue: &std::sync::mpsc::Receiver<Job>,
    reports: &mpsc::UnboundedSender<Report>,
) {
    let mut preparing: Option<std::thread::JoinHandle<()>> = None;
    // On a full disk it fails again and again; that is told once, until it has succeeded.
    let told = Arc::new(AtomicBool::new(false));
    while let Ok(job) = queue.recv() {
        let report = perform(journal.as_mut(), job);
        if reports.send(report).is_err() {
            break;
        }
        let busy = preparing.as_ref().is_some_and(|p| !p.is_finished());
        if !busy && journal.wants_preparation() {
            let preparer = journal.preparer();
            let told = told.clone();
            let work = move || match preparer.run() {
                Ok(()) => told.store(false, Ordering::Relaxed),
                Err(error) if !told.swap(true, Ordering::Relaxed) => {
                    tracing::warn!("the next journal segment could not be prepared: {error}");
                }
                Err(_) => {}
            };
            let thread = std::thread::Builder::new().name("kvs-prepare".into());
            preparing = thread.spawn(work).ok();
        }
    }
    if let Some(preparing) = preparing {
        let _ = preparing.join();
    }
}

fn perform(journal: &mut dyn Journal, job: Job) -> Report {
    let done = match job {
        Job::Append {
            after,
            payload,
            sync: true,
        } => Done::Appended(journal.append(after, &payload)),
        Job::Append {
            after,
            payload,
            sync: false,
        } => Done::Appended(journal.append_unsynced(after, &payload)),
        Job::Sync => Done::Synced(journal.sync()),
        Job::Trim { keep_from } => Done::Trimmed(journal.trim(keep_from)),
    };
    Report {
        done,
        bytes: journal.bytes(),
    }
}
