//! What callers put requests into.

use crate::error::ClientError;
use crate::pending::Reply;
use crate::prefetch::Cost;
use crate::stream::{Kind, StreamState};
use bytes::Bytes;
use kvs_proto::Request;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// What the task is told to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Send a request and answer it.
    Request(Queued),
    /// Open a stream.
    Stream { id: u64, state: Box<StreamState> },
    /// The consumer of a stream took events.
    Taken { id: u64, cost: Cost },
    /// The consumer of a stream wants a bookmark.
    Mark { id: u64 },
    /// Nobody waits for that request or stream any more.
    Cancel { id: u64 },
}

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) id: u64,
    pub(crate) request: Request,
    pub(crate) reply: Reply,
    /// The place among the unanswered requests; free when this is dropped.
    pub(crate) place: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Counters {
    next_id: u64,
    next_number: u64,
}

/// The way to the task. When the last handle is dropped the task finishes what is unanswered and ends.
#[derive(Debug)]
pub(crate) struct Queue {
    counters: Mutex<Counters>,
    sender: mpsc::UnboundedSender<Command>,
    places: Arc<Semaphore>,
    client: [u8; 16],
}

/// The first transaction number of a client.
pub(crate) const FIRST_NUMBER: u64 = 1;

impl Queue {
    pub(crate) fn new(
        sender: mpsc::UnboundedSender<Command>,
        places: Arc<Semaphore>,
        client: [u8; 16],
    ) -> Self {
        let counters = Counters {
            next_id: 1,
            next_number: FIRST_NUMBER,
        };
        Queue {
            counters: Mutex::new(counters),
            sender,
            places,
            client,
        }
    }

    pub(crate) fn client_id(&self) -> [u8; 16] {
        self.client
    }

    /// Tells the task something that has no answer.
    pub(crate) fn send(&self, command: Command) {
        // When the task has ended there is nobody left to tell.
        let _ = self.sender.send(command);
    }

    /// Queues a request when there is a place for it.
    pub(crate) async fn request(
        &self,
        request: Request,
    ) -> Result<oneshot::Receiver<Result<Bytes, ClientError>>, ClientError> {
        self.enqueue(request).await.map(|(_, receiver)| receiver)
    }

    /// Sends a request and waits for its answer; dropping the future cancels it on the daemon too.
    pub(crate) async fn cancellable(
        self: &Arc<Self>,
        request: Request,
    ) -> Result<Bytes, ClientError> {
        let (id, receiver) = self.enqueue(request).await?;
        let guard = CancelOnDrop::new(self.clone(), id);
        let answer = receiver.await;
        guard.disarm();
        answer.unwrap_or_else(|_| Err(closed()))
    }

    /// Opens a stream and waits until it stands, giving its id and what it said; dropping the future cancels it on the daemon
    /// too.
    pub(crate) async fn stream<T>(
        self: &Arc<Self>,
        kind: Kind,
        standing: oneshot::Receiver<Result<T, ClientError>>,
    ) -> Result<(u64, T), ClientError> {
        let state = Box::new(StreamState::new(kind));
        let id = self.in_order(|counters| {
            let id = counters.take_id();
            self.send(Command::Stream { id, state });
            id
        });
        let guard = CancelOnDrop::new(self.clone(), id);
        let started = standing.await.unwrap_or_else(|_| Err(closed()))?;
        guard.disarm();
        Ok((id, started))
    }

    /// Queues a request when there is a place for it; its id, and where its answer comes.
    pub(crate) async fn enqueue(
        &self,
        mut request: Request,
    ) -> Result<(u64, oneshot::Receiver<Result<Bytes, ClientError>>), ClientError> {
        // Mostly there is one, and then nothing need be prepared for a wait.
        let place = match self.places.clone().try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                let waits = self.places.clone().acquire_owned();
                waits.await.map_err(|_| closed())?
            }
        };
        let (reply, receiver) = oneshot::channel();
        let id = self.in_order(|counters| {
            let id = counters.take_id();
            if let Request::Commit(commit) = &mut request {
                commit.number = counters.next_number;
                counters.next_number += 1;
            }
            self.send(Command::Request(Queued {
                id,
                request,
                reply,
                place,
            }));
            id
        });
        Ok((id, receiver))
    }

    /// Runs a short step under the lock that orders the queue.
    fn in_order<T>(&self, step: impl FnOnce(&mut Counters) -> T) -> T {
        step(&mut self.counters.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Counters {
    fn take_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }
}

fn closed() -> ClientError {
    ClientError::disconnected("the connection was given up")
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
            self.queue.send(Command::Cancel { id });
        }
    }
}
