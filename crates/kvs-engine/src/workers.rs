//! Threads for blocking work. All of them start when the store is opened and run until it is
//! closed, so that no later operation depends on a thread that the system may refuse.
//!
//! A pool runs its jobs in the order in which they were queued. Its threads end when the last
//! handle is dropped and the queue is empty. They are not joined, since a job may drop the last
//! handle.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::error::{EngineError, ErrorKind};
use crate::limits::{READ_THREADS, WRITE_THREADS};

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next job; `None` when the queue is closed and empty.
    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            let waited = self.changed.wait(queue);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Closes the queue when the last handle is dropped.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

/// A fixed number of threads with a queue of jobs. Clones share them.
#[derive(Clone)]
pub(crate) struct Workers(Arc<Handle>);

impl Workers {
    /// Starts `threads` threads named `name`.
    ///
    /// # Errors
    /// `Busy` if the system refuses a thread; those already started end.
    pub(crate) fn start(name: &str, threads: usize) -> Result<Self, EngineError> {
        let shared = Arc::new(Shared::default());
        let workers = Self(Arc::new(Handle(Arc::clone(&shared))));
        for _ in 0..threads {
            let shared = Arc::clone(&shared);
            let work = move || {
                while let Some(job) = shared.next() {
                    job();
                }
            };
            spawn(name, work)?;
        }
        Ok(workers)
    }

    /// Queues a job.
    pub(crate) fn queue(&self, job: impl FnOnce() + Send + 'static) {
        let shared = &self.0.0;
        shared.lock().jobs.push_back(Box::new(job));
        shared.changed.notify_one();
    }

    /// Runs `work` on one of the threads. Dropping the future does not stop it.
    ///
    /// # Errors
    /// Those of the work.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let (done, result) = oneshot::channel();
        self.queue(move || drop(done.send(work())));
        result.await.map_err(|_| EngineError::stopped())?
    }
}

/// The threads of an open store, except that of its journal.
#[derive(Clone)]
pub(crate) struct Threads {
    /// For reading. No job on them waits for a sync.
    pub(crate) reads: Workers,
    /// For writing and syncing what a transaction needs before it is evaluated.
    pub(crate) writes: Workers,
    /// For checkpoints and other work concurrent with commits.
    pub(crate) background: Workers,
}

impl Threads {
    /// Starts all of them.
    ///
    /// # Errors
    /// As [`Workers::start`].
    pub(crate) fn start() -> Result<Self, EngineError> {
        Ok(Self {
            reads: Workers::start("kvs-read", READ_THREADS)?,
            writes: Workers::start("kvs-write", WRITE_THREADS)?,
            background: Workers::start("kvs-background", 1)?,
        })
    }
}

/// Starts a thread that the store requires.
///
/// # Errors
/// `Busy` if the system refuses: trying again later may succeed.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<std::thread::JoinHandle<T>, EngineError> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that starts threads"
    )]
    thread.spawn(work).map_err(|error| {
        let message = format!("cannot start the thread {name}: {error}");
        EngineError::new(ErrorKind::Busy, message)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn jobs_run_on_the_threads_that_were_started() {
        let workers = Workers::start("test-work", 2).unwrap();
        for _ in 0..20 {
            let name = workers.run(|| Ok(std::thread::current().name().map(str::to_owned)));
            assert_eq!(name.await.unwrap().as_deref(), Some("test-work"));
        }
        let failed = workers.run(|| Err::<(), _>(EngineError::stopped())).await;
        assert_eq!(failed.unwrap_err().kind, ErrorKind::Unavailable);
    }

    #[test]
    fn what_was_queued_is_done_though_the_last_handle_is_dropped() {
        let workers = Workers::start("test-work", 1).unwrap();
        let (done, jobs) = channel();
        for job in 0..50 {
            let (done, kept) = (done.clone(), workers.clone());
            workers.queue(move || {
                done.send(job).unwrap();
                drop(kept);
            });
        }
        drop((workers, done));
        assert_eq!(jobs.iter().collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
    }
}
