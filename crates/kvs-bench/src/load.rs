//! The load generator: connections with a fixed number of requests in flight, all on one thread.
//!
//! Connections share nothing and print nothing. Measuring a latency costs a push and two clock
//! readings, shared between neighboring requests. Answers are received in the order of the
//! requests, so an answer that overtakes another counts with the other's latency.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kvs_client::{At, Committed, LookupAnswer, LookupOptions, Namespace, Pending, Transaction};
use smol_str::SmolStr;
use tokio::task::JoinSet;

use crate::plan::{Plan, Size};
use crate::progress::Progress;
use crate::statistics::Samples;
use crate::target::Target;

/// Operations per second and connection for which memory is reserved.
const EXPECTED_RATE: f64 = 300_000.0;

/// Operations per transaction while keys are created.
const FILL_OPERATIONS: u64 = 500;

/// Transactions in flight while keys are created.
const FILL_IN_FLIGHT: usize = 8;

/// A request.
pub(crate) enum Work {
    /// Commits a transaction.
    Commit(Transaction),
    /// Looks up a key, which must exist.
    Get(SmolStr, At),
}

impl Work {
    /// Returns a put of the value of request `i`.
    pub(crate) fn put(size: &Size, i: u64) -> Work {
        let put = Transaction::new().put(size.key_of_request(i), size.value_with(i));
        Work::Commit(put)
    }
}

/// Creates request number `i`.
pub(crate) type Make = Arc<dyn Fn(u64) -> Work + Send + Sync>;

/// The context of a workload.
pub(crate) struct Bench {
    /// Settings of the run.
    pub(crate) plan: Plan,
    /// Sizes of the workload.
    pub(crate) size: Size,
    /// The daemon being measured.
    pub(crate) target: Target,
    /// The progress display.
    pub(crate) progress: Progress,
}

/// The result of one repetition.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Number of measured operations.
    pub(crate) operations: u64,
    /// Total time of these operations.
    pub(crate) elapsed: Duration,
    /// Latencies of these operations.
    pub(crate) samples: Samples,
    /// Bytes that the daemon wrote to disk per operation, including the warm-up.
    pub(crate) disk_bytes_per_op: Option<f64>,
    /// Figures specific to this workload.
    pub(crate) extra: Vec<(&'static str, f64)>,
}

impl Measured {
    /// Returns operations per second.
    pub(crate) fn rate(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// An answer in flight.
enum Answer {
    Commit(Pending<Committed>),
    Get(Pending<LookupAnswer>),
}

/// The measured period.
#[derive(Clone, Copy)]
struct Window {
    start: Instant,
    from: Instant,
    until: Instant,
}

impl Bench {
    /// Opens a connection to the namespace of the workload.
    pub(crate) async fn connect(&self) -> anyhow::Result<Namespace> {
        let client = self.target.connect().await?;
        Ok(client.namespace(self.target.namespace()))
    }

    /// Puts the keys numbered `from..to`.
    pub(crate) async fn fill(&self, from: u64, to: u64) -> anyhow::Result<()> {
        self.progress.step("keys");
        let namespace = self.connect().await?;
        let mut waiting = VecDeque::new();
        let mut next = from;
        while next < to || !waiting.is_empty() {
            if next < to && waiting.len() < FILL_IN_FLIGHT {
                let end = (next + FILL_OPERATIONS).min(to);
                let transaction = (next..end).fold(Transaction::new(), |transaction, n| {
                    transaction.put(self.size.key(n), self.size.value_with(n))
                });
                waiting.push_back(namespace.submit(transaction).await?);
                next = end;
            } else if let Some(answer) = waiting.pop_front() {
                answer.await?;
            }
        }
        Ok(())
    }

    /// Drives all connections for the planned time, after the warm-up.
    pub(crate) async fn drive(&self, what: &str, make: Make) -> anyhow::Result<Measured> {
        self.progress.step(what);
        let plan = &self.plan;
        let mut connections = Vec::with_capacity(plan.clients);
        for _ in 0..plan.clients {
            connections.push(self.connect().await?);
        }
        let written = self.target.written_bytes();
        let start = Instant::now();
        let from = start + plan.warm_up;
        let window = Window {
            start,
            from,
            until: from + plan.time,
        };
        let mut tasks = JoinSet::new();
        for (number, namespace) in connections.into_iter().enumerate() {
            let (make, step) = (make.clone(), plan.clients as u64);
            let make = move |i: u64| make(i * step + number as u64);
            let progress = (number == 0).then(|| self.progress.clone());
            tasks.spawn(client(namespace, plan.in_flight, window, make, progress));
        }
        let mut all = Client::default();
        while let Some(client) = tasks.join_next().await {
            all.add(client??);
        }
        let last = all.last.unwrap_or(window.until);
        let disk_bytes_per_op = written
            .zip(self.target.written_bytes())
            .map(|(before, after)| {
                after.saturating_sub(before) as f64 / all.requests.max(1) as f64
            });
        Ok(Measured {
            operations: all.samples.len() as u64,
            elapsed: last.max(window.until) - window.from,
            samples: all.samples,
            disk_bytes_per_op,
            extra: Vec::new(),
        })
    }
}

/// The result of one connection.
#[derive(Default)]
struct Client {
    samples: Samples,
    /// Number of requests, including the warm-up.
    requests: u64,
    last: Option<Instant>,
}

impl Client {
    fn add(&mut self, other: Client) {
        self.samples.extend(other.samples);
        self.requests += other.requests;
        self.last = self.last.max(other.last);
    }
}

/// Drives one connection until the window has passed and all answers have arrived.
async fn client(
    namespace: Namespace,
    in_flight: usize,
    window: Window,
    make: impl Fn(u64) -> Work,
    progress: Option<Progress>,
) -> anyhow::Result<Client> {
    let expected = (window.until - window.from).as_secs_f64() * EXPECTED_RATE;
    let mut done = Client {
        samples: Samples::with_capacity(expected as usize),
        ..Client::default()
    };
    let mut waiting = VecDeque::with_capacity(in_flight);
    let mut tick = window.start;
    let mut now = Instant::now();
    loop {
        while waiting.len() < in_flight && now < window.until {
            waiting.push_back((now, submit(&namespace, make(done.requests)).await?));
            done.requests += 1;
            // Usually one answer makes room for one request; then the time is not read again.
            if waiting.len() < in_flight {
                now = Instant::now();
            }
        }
        let Some((started, answer)) = waiting.pop_front() else {
            return Ok(done);
        };
        take(answer).await?;
        now = Instant::now();
        if started >= window.from {
            done.samples.push(now - started);
            done.last = Some(now);
        }
        if let Some(progress) = progress.as_ref().filter(|_| now >= tick) {
            progress.at(now - window.start, window.until - window.start);
            tick = now + Progress::TICK;
        }
    }
}

async fn submit(namespace: &Namespace, work: Work) -> anyhow::Result<Answer> {
    Ok(match work {
        Work::Commit(transaction) => Answer::Commit(namespace.submit(transaction).await?),
        Work::Get(key, at) => {
            let options = LookupOptions::new().at(at);
            Answer::Get(namespace.submit_lookup(key, options).await?)
        }
    })
}

async fn take(answer: Answer) -> anyhow::Result<()> {
    match answer {
        Answer::Commit(answer) => drop(answer.await.context("a commit failed")?),
        Answer::Get(answer) => {
            let found = answer.await.context("a lookup failed")?;
            ensure!(found.entry.is_some(), "{}: not found", found.key);
        }
    }
    Ok(())
}
