//! What callers put requests into.

use super::outstanding::{Outstanding, given_up};
use crate::connection::{ConnectionEvents, StandingSender};
use crate::error::ClientError;
use crate::pending::{Answer, Receiver, Reply};
use crate::positions::KnownPositions;
use crate::prefetch::Cost;
use crate::stream::{Kind, StreamState};
use bytes::{Bytes, BytesMut};
use kvs_proto::{FrameCodec, ProtocolError, Request};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

/// What callers and the task share. The lock is held for short steps only; answers are given when
/// it is free again.
pub(crate) struct Link {
    outstanding: Mutex<Outstanding>,
    /// So many more requests may be unanswered.
    places: Semaphore,
    /// How the connection stands.
    pub(super) standing: StandingSender,
}

impl Link {
    pub(crate) fn new(known: Arc<KnownPositions>, places: usize) -> Self {
        Link {
            outstanding: Mutex::new(Outstanding::new(known)),
            places: Semaphore::new(places),
            standing: StandingSender::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Outstanding> {
        self.outstanding
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a step, and tells whomever it concerns.
    #[inline]
    pub(crate) fn with<T>(&self, step: impl FnOnce(&mut Outstanding) -> T) -> T {
        let mut outstanding = self.lock();
        let result = step(&mut outstanding);
        let task = outstanding.waking();
        // Mostly there are none, and then the room for them stays.
        let answered =
            (!outstanding.answered.is_empty()).then(|| std::mem::take(&mut outstanding.answered));
        drop(outstanding);
        if let Some(task) = task {
            task.wake();
        }
        if let Some(mut answered) = answered {
            self.give(&mut answered);
        }
        result
    }

    /// Takes in the next few frames that the daemon has sent, and gives their answers; how many
    /// there were.
    pub(crate) fn frames(
        &self,
        codec: &mut FrameCodec,
        read: &mut BytesMut,
        answered: &mut Vec<(Reply, Answer)>,
    ) -> Result<usize, ProtocolError> {
        let mut outstanding = self.lock();
        let taken = outstanding.frames(codec, read);
        std::mem::swap(&mut outstanding.answered, answered);
        drop(outstanding);
        self.give(answered);
        taken
    }

    fn give(&self, answered: &mut Vec<(Reply, Answer)>) {
        self.places.add_permits(answered.len());
        for (reply, answer) in answered.drain(..) {
            // Perhaps nobody waits for it any more.
            let _ = reply.send(answer);
        }
    }

    /// Returns when something is to be written, or nobody needs the connection.
    pub(crate) async fn work(&self) {
        poll_fn(|context| self.lock().poll_work(context)).await;
    }

    /// There will be no connection any more.
    pub(crate) fn end(&self, error: &ClientError) {
        self.places.close();
        self.with(|outstanding| outstanding.end(error));
    }
}

/// The way to the task. When the last handle is dropped the task finishes what is unanswered and
/// ends.
pub(crate) struct Queue {
    link: Arc<Link>,
    client: [u8; 16],
}

impl Queue {
    pub(crate) fn new(link: Arc<Link>, client: [u8; 16]) -> Self {
        Queue { link, client }
    }

    pub(crate) fn connection_events(&self) -> ConnectionEvents {
        self.link.standing.events()
    }

    pub(crate) fn client_id(&self) -> [u8; 16] {
        self.client
    }

    /// Waits for a place among the unanswered requests.
    pub(crate) async fn place(&self) -> Result<SemaphorePermit<'_>, ClientError> {
        // Mostly there is one, and then nothing need be prepared for a wait.
        match self.link.places.try_acquire() {
            Ok(place) => Ok(place),
            Err(_) => self.link.places.acquire().await.map_err(|_| given_up()),
        }
    }

    /// Queues a request in its place; its id, and where its answer comes.
    #[inline]
    pub(crate) fn request(&self, place: SemaphorePermit<'_>, request: Request) -> (u64, Receiver) {
        // It is given back with the answer.
        place.forget();
        self.link.with(|outstanding| outstanding.request(request))
    }

    /// Sends a request and waits for its answer; dropping the future cancels it on the daemon too.
    pub(crate) async fn cancellable(
        self: &Arc<Self>,
        request: Request,
    ) -> Result<Bytes, ClientError> {
        let (id, receiver) = self.request(self.place().await?, request);
        let guard = CancelOnDrop::new(self.clone(), id);
        let answer = receiver.await;
        guard.disarm();
        answer.unwrap_or_else(|_| Err(given_up()))
    }

    /// Opens a stream and waits until it stands, giving its id and what it said; dropping the
    /// future cancels it on the daemon too.
    pub(crate) async fn stream<T>(
        self: &Arc<Self>,
        kind: Kind,
        standing: oneshot::Receiver<Result<T, ClientError>>,
    ) -> Result<(u64, T), ClientError> {
        let state = Box::new(StreamState::new(kind));
        let id = self.link.with(|outstanding| outstanding.stream(state));
        let guard = CancelOnDrop::new(self.clone(), id);
        let started = standing.await.unwrap_or_else(|_| Err(given_up()))?;
        guard.disarm();
        Ok((id, started))
    }

    /// The consumer of a stream took events.
    pub(crate) fn taken(&self, id: u64, cost: Cost) {
        self.link.with(|outstanding| outstanding.taken(id, cost));
    }

    /// The consumer of a stream wants a bookmark.
    pub(crate) fn mark(&self, id: u64) {
        self.link.with(|outstanding| outstanding.mark(id));
    }

    /// Nobody waits for that request or stream any more.
    pub(crate) fn cancel(&self, id: u64) {
        self.link.with(|outstanding| outstanding.cancel(id));
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.link.with(|outstanding| outstanding.closed = true);
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

struct CancelOnDrop {
    queue: Arc<Queue>,
    id: Option<u64>,
}

impl CancelOnDrop {
    fn new(queue: Arc<Queue>, id: u64) -> Self {
        CancelOnDrop {
            queue,
            id: Some(id),
        }
    }

    fn disarm(mut self) {
        self.id = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.queue.cancel(id);
        }
    }
}
