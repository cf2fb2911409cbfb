//! The connection: a queue in front, a task that owns it, and how both begin.
//!
//! Order: the queue's lock gives requests their ids and numbers in the order in which they are queued; the task sends
//! them in that order, and after a reconnect again in that order.

mod backoff;
mod handshake;
mod numbers;
mod queue;

mod outstanding;

mod task;

pub(crate) use queue::{Command, Queue};

use crate::error::ClientError;
use crate::known::Known;
use crate::options::Options;
use crate::transport::Connector;
use kvs_proto::{ErrorCode, Hello, HelloAnswer, PROTOCOL_VERSION};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};

/// Connects, and starts the task that keeps the connection.
pub(crate) async fn open(
    connector: Arc<dyn Connector>,
    options: Options,
    known: Arc<Known>,
) -> Result<(Arc<Queue>, HelloAnswer), ClientError> {
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
    let places = Arc::new(Semaphore::new(places));
    let (sender, commands) = mpsc::unbounded_channel();
    let queue = Arc::new(Queue::new(sender, places.clone(), client));
    let task = task::Task::new(connector, options, hello, known, commands, places);
    tokio::spawn(task.run(link, backoff));
    Ok((queue, server))
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
