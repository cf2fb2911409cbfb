//! Pipelined commits through one connection.

use std::collections::VecDeque;

use kvs_client::{ClientError, Committed, Namespace, Options, Pending, Transaction};

use kvs_testkit::Daemon;

/// Number of commits in flight in the runs.
pub const IN_FLIGHT: usize = 128;

/// Commits in flight, in order. Dropping this drops the answers, not the commits.
#[derive(Debug)]
pub struct Pipeline {
    namespace: Namespace,
    depth: usize,
    waiting: VecDeque<Pending<Committed>>,
}

impl Pipeline {
    /// Creates a pipeline to a namespace with at most `depth` commits in flight.
    pub fn new(namespace: Namespace, depth: usize) -> Self {
        Self {
            namespace,
            depth,
            waiting: VecDeque::new(),
        }
    }

    /// Creates a pipeline to `primary` on a new connection, `IN_FLIGHT` deep.
    pub async fn to(daemon: &Daemon) -> anyhow::Result<Self> {
        let options = Options::new().requests_in_flight(IN_FLIGHT);
        let client = daemon.connect_with(options).await?;
        Ok(Self::new(client.namespace("primary"), IN_FLIGHT))
    }

    /// Returns the namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Submits a commit. If the pipeline is full, first waits for the oldest answer and returns it.
    pub async fn commit(
        &mut self,
        transaction: Transaction,
    ) -> Result<Option<Committed>, ClientError> {
        let oldest = if self.waiting.len() >= self.depth {
            self.next().await
        } else {
            None
        };
        let pending = self.namespace.submit(transaction).await?;
        self.waiting.push_back(pending);
        oldest.transpose()
    }

    /// Waits for the oldest pending answer; returns `None` if there is none.
    pub async fn next(&mut self) -> Option<Result<Committed, ClientError>> {
        Some(self.waiting.pop_front()?.await)
    }

    /// Waits for all pending answers.
    pub async fn finish(&mut self) -> Result<(), ClientError> {
        while let Some(answer) = self.next().await {
            answer?;
        }
        Ok(())
    }
}
