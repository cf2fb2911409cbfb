//! The job executor: takes every job through its states as fast as the daemon commits.
//!
//! Many jobs run concurrently, which gives group commit its groups; within a job, each transition
//! is committed before the next begins. Returns the acknowledged commits, against which the clients
//! are checked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, ensure};
use kvs_client::{Address, Client, Namespace, OperationResult, Transaction};
use tokio::task::JoinSet;

use super::job::Transition;
use super::validate::Written;

/// Jobs that run concurrently.
const JOBS_AT_ONCE: u32 = 64;

/// Runs jobs 1 to `jobs`. Returns their transitions with the versions that contain them.
pub(crate) async fn run(uri: &str, jobs: u32) -> anyhow::Result<Vec<Written>> {
    let client = Client::connect(&Address::parse(uri)?).await?;
    let next = Arc::new(AtomicU32::new(1));
    let mut workers = JoinSet::new();
    for _ in 0..JOBS_AT_ONCE.min(jobs) {
        let (namespace, next) = (client.namespace("primary"), Arc::clone(&next));
        workers.spawn(async move {
            let mut written = Vec::new();
            loop {
                let job = next.fetch_add(1, Ordering::Relaxed);
                if job > jobs {
                    return anyhow::Ok(written);
                }
                for transition in Transition::of_job(job) {
                    written.push(enter(&namespace, transition).await?);
                }
            }
        });
    }
    let mut written = Vec::new();
    while let Some(worker) = workers.join_next().await {
        written.extend(worker?.context("the executor could not commit")?);
    }
    Ok(written)
}

/// Commits one transition: the state and its companions, in one transaction.
async fn enter(namespace: &Namespace, transition: Transition) -> anyhow::Result<Written> {
    let transaction = Transaction::new()
        .put(transition.key("state"), transition.state())
        .add(transition.key("transitions"), 1)
        .put(transition.key("note"), transition.expected("note"))
        .append(transition.key("eventlog"), transition.log_line())
        .name(transition.state());
    let committed = namespace.commit(transaction).await?;
    let count = i64::from(transition.step) + 1;
    ensure!(
        committed.results.get(1) == Some(&OperationResult::Added(count)),
        "job {} counted {:?} transitions at its {count}.",
        transition.job,
        committed.results.get(1),
    );
    Ok(Written {
        version: committed.position.version,
        transition,
    })
}
