//! The connection: a queue in front, a task that owns it, and how both begin.
//!
//! Order: under one lock requests get their ids and numbers and are encoded, in the order in which
//! they are queued; the task writes the bytes, and after a reconnect everything unanswered is sent
//! again in that order.

mod backoff;
mod handshake;
mod numbers;
mod slots;

mod outstanding;
mod streams;

mod queue;

mod task;

pub(crate) use queue::Queue;

use crate::error::ClientError;
use crate::options::Options;
use crate::positions::KnownPositions;
use crate::transport::Connector;
use kvs_proto::{ErrorCode, Hello, HelloAnswer, PROTOCOL_VERSION};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Connects, and starts the task that keeps the connection.
pub(crate) async fn open(
    connector: Arc<dyn Connector>,
    options: Options,
    known: Arc<KnownPositions>,
) -> Result<(Arc<Queue>, HelloAnswer), ClientError> {
    let runtime = current_runtime()?;
    let client = match options.client_id {
        Some(id) => id,
        None => random_id()?,
    };
    let hello = Hello {
        versions: vec![PROTOCOL_VERSION],
        client,
        namespaces: options.namespaces.clone(),
        software: options.software.clone(),
    };
    let mut backoff = backoff::Backoff::new(&options, client);
    let link = loop {
        let attempt = handshake::connect(&connector, &hello, options.connect_timeout);
        let error = match attempt.await {
            Ok(link) => break link,
            Err(error) => error,
        };
        if options.fail_fast || handshake::is_final(&error) {
            return Err(error);
        }
        match backoff.pause() {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(error),
        }
    };
    let server = link.server.clone();
    for known_at in &server.positions {
        known.learn(&known_at.namespace, known_at.position);
    }
    let limit = usize::try_from(server.limits.requests_in_flight).unwrap_or(usize::MAX);
    let places = limit
        .min(options.requests_in_flight)
        .clamp(1, Semaphore::MAX_PERMITS);
    let shared = Arc::new(queue::Link::new(known.clone(), places));
    let task = task::Task::new(connector, options, hello, known, shared.clone());
    runtime.spawn(task.run(link, backoff));
    Ok((Arc::new(Queue::new(shared, client)), server))
}

/// The runtime that the caller is in. Tokio has no way to ask whether it has I/O and time.
pub(crate) fn current_runtime() -> Result<Handle, ClientError> {
    Handle::try_current().map_err(|error| {
        let message = if error.is_thread_local_destroyed() {
            "the Tokio runtime of this thread has ended"
        } else {
            "the caller is not in a Tokio runtime; build one with `enable_all`, and call this \
             within its `block_on`"
        };
        ClientError::new(ErrorCode::Invalid, message)
    })
}

fn random_id() -> Result<[u8; 16], ClientError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| {
        ClientError::new(
            ErrorCode::Unavailable,
            format!("no random client id: {error}"),
        )
    })?;
    Ok(id)
}
