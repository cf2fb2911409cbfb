//! Answers that are on their way.

use crate::error::ClientError;
use crate::positions::KnownPositions;
use bytes::Bytes;
use kvs_proto::{Position, ProtocolError, decode_body};
use serde::de::DeserializeOwned;
use smol_str::SmolStr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// What the link answers: the body of the final answer, or the error.
pub(crate) type Answer = Result<Bytes, ClientError>;

/// Where an answer is given.
pub(crate) type Reply = oneshot::Sender<Answer>;

/// Where it comes.
pub(crate) type Receiver = oneshot::Receiver<Answer>;

/// Both ends of the way of one answer.
pub(crate) fn exchange() -> (Reply, Receiver) {
    oneshot::channel()
}

/// What was asked for, where the answer does not say it.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The namespace.
    pub(crate) namespace: SmolStr,
    /// The key.
    pub(crate) key: SmolStr,
}

/// What becomes of the body of an answer.
pub(crate) struct Open<T> {
    /// Decodes it.
    decode: fn(&Bytes, &Asked) -> Result<T, ProtocolError>,
    asked: Asked,
    /// Learns from it.
    learn: Option<Learn<T>>,
}

/// What an answer tells of a namespace.
type Told<T> = for<'a> fn(&'a T) -> (&'a SmolStr, Position);

struct Learn<T> {
    known: Arc<KnownPositions>,
    told: Told<T>,
}

impl<T> Open<T> {
    /// Decodes it, with a decoder of its own.
    pub(crate) fn with(
        decode: fn(&Bytes, &Asked) -> Result<T, ProtocolError>,
        asked: Asked,
    ) -> Self {
        Open {
            decode,
            asked,
            learn: None,
        }
    }

    /// Learns a position as well.
    pub(crate) fn and_learn(self, known: &Arc<KnownPositions>, told: Told<T>) -> Self {
        let known = known.clone();
        Open {
            learn: Some(Learn { known, told }),
            ..self
        }
    }

    #[inline]
    fn open(&self, body: &Bytes) -> Result<T, ClientError> {
        let answer = (self.decode)(body, &self.asked);
        if let (Ok(answer), Some(Learn { known, told })) = (&answer, &self.learn) {
            let (namespace, position) = told(answer);
            known.learn(namespace, position);
        }
        answer.map_err(ClientError::from)
    }
}

impl<T: DeserializeOwned> Open<T> {
    /// Decodes it.
    pub(crate) fn new() -> Self {
        Open::with(|body, _| decode_body(body), Asked::default())
    }
}

/// The answer to a request that is already queued; a future. Dropping it does not take the request
/// back.
#[must_use = "an answer that nobody looks at may be an error"]
pub struct Pending<T> {
    receiver: Receiver,
    open: Open<T>,
}

impl<T> Pending<T> {
    pub(crate) fn new(receiver: Receiver, open: Open<T>) -> Self {
        Pending { receiver, open }
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, ClientError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answered = std::task::ready!(Pin::new(&mut self.receiver).poll(context));
        let body =
            answered.unwrap_or_else(|_| Err(ClientError::disconnected("the client was closed")))?;
        Poll::Ready(self.open.open(&body))
    }
}

impl<T> std::fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}
