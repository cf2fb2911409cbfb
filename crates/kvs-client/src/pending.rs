//! Answers that are on their way.

use crate::error::ClientError;
use bytes::Bytes;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// What the link answers: the body of the final answer, or the error.
pub(crate) type Reply = oneshot::Sender<Result<Bytes, ClientError>>;

type Open<T> = Box<dyn FnOnce(Bytes) -> Result<T, ClientError> + Send>;

/// The answer to a request that is already queued; a future. Dropping it does not take the request back.
#[must_use = "an answer that nobody looks at may be an error"]
pub struct Pending<T> {
    receiver: oneshot::Receiver<Result<Bytes, ClientError>>,
    open: Option<Open<T>>,
}

impl<T> Pending<T> {
    pub(crate) fn new(
        receiver: oneshot::Receiver<Result<Bytes, ClientError>>,
        open: impl FnOnce(Bytes) -> Result<T, ClientError> + Send + 'static,
    ) -> Self {
        Pending {
            receiver,
            open: Some(Box::new(open)),
        }
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, ClientError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let answered = std::task::ready!(Pin::new(&mut this.receiver).poll(context));
        let body =
            answered.unwrap_or_else(|_| Err(ClientError::disconnected("the client was closed")))?;
        Poll::Ready(match this.open.take() {
            Some(open) => open(body),
            None => Err(ClientError::disconnected("the answer was already taken")),
        })
    }
}

impl<T> std::fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}
