//! Commits through one connection, so many of them unanswered at a time.

use std::collections::VecDeque;

use kvs_client::{ClientError, Committed, Namespace, Options, Pending, Transaction};

use kvs_testkit::Daemon;

/// How many commits are unanswered in the runs.
pub const IN_FLIGHT: usize = 128;

/// Commits on their way, in order. Dropping it drops the answers, not the commits.
#[derive(Debug)]
pub struct Pipeline {
    namespace: Namespace,
    depth: usize,
    waiting: VecDeque<Pending<Committed>>,
}

impl Pipeline {
    /// A pipeline into a namespace, with at most `depth` commits unanswered.
    pub fn new(namespace: Namespace, depth: usize) -> Self {
        Self {
            namespace,
            depth,
            waiting: VecDeque::new(),
        }
    }

    /// A pipeline of a new connection into `primary`, `IN_FLIGHT` deep.
    pub async fn to(daemon: &Daemon) -> anyhow::Result<Self> {
        let options = Options::new().requests_in_flight(IN_FLIGHT);
        let client = daemon.connect_with(options).await?;
        Ok(Self::new(client.namespace("primary"), IN_FLIGHT))
    }

    /// The namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Commits one more; waits for the oldest answer, and returns it, if too many are unanswered.
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

    /// The oldest answer that was not taken; `None` if there is none to come.
    pub async fn next(&mut self) -> Option<Result<Committed, ClientError>> {
        Some(self.waiting.pop_front()?.await)
    }

    /// Waits for all answers.
    pub async fn finish(&mut self) -> Result<(), ClientError> {
        while let Some(answer) = self.next().await {
            answer?;
        }
        Ok(())
    }
}
