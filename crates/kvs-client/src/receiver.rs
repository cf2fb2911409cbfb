//! The consumer's side of any stream: takes events out, gives credit back, and ends the stream when
//! dropped.

use crate::error::ClientError;
use crate::inbox::{Entry, Receiver};
use crate::link::Queue;
use crate::prefetch::Cost;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Takes the events of one stream.
#[derive(Debug)]
pub(crate) struct EventReceiver<E> {
    id: u64,
    queue: Arc<Queue>,
    inbox: Receiver<E>,
    taken: Cost,
    /// Credit goes back when so much was taken.
    refill: Cost,
    /// Credit goes back only when the next event is asked for: then that is the newest.
    lazy: bool,
    ended: bool,
}

impl<E> EventReceiver<E> {
    pub(crate) fn new(
        id: u64,
        queue: Arc<Queue>,
        inbox: Receiver<E>,
        prefetch: Cost,
        lazy: bool,
    ) -> Self {
        let refill = Cost {
            events: (prefetch.events / 2).max(1),
            bytes: (prefetch.bytes / 2).max(1),
        };
        EventReceiver {
            id,
            queue,
            inbox,
            taken: Cost::default(),
            refill,
            lazy,
            ended: false,
        }
    }

    /// The next event; after an error, none.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Entry<E>, ClientError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if self.lazy {
            self.give_back();
        }
        let entry = match ready!(self.inbox.poll(context)) {
            Some(Ok(entry)) => entry,
            Some(Err(error)) => {
                self.ended = true;
                return Poll::Ready(Some(Err(error)));
            }
            None => {
                self.ended = true;
                let closed = ClientError::disconnected("the client was closed");
                return Poll::Ready(Some(Err(closed)));
            }
        };
        self.taken.add(entry.cost);
        let enough =
            self.taken.events >= self.refill.events || self.taken.bytes >= self.refill.bytes;
        if enough && !self.lazy {
            self.give_back();
        }
        Poll::Ready(Some(Ok(entry)))
    }

    fn give_back(&mut self) {
        let taken = std::mem::take(&mut self.taken);
        if !taken.is_zero() {
            self.queue.taken(self.id, taken);
        }
    }

    /// Asks for a bookmark.
    pub(crate) fn want_mark(&self) {
        self.queue.mark(self.id);
    }
}

impl<E> Drop for EventReceiver<E> {
    fn drop(&mut self) {
        self.queue.cancel(self.id);
    }
}
