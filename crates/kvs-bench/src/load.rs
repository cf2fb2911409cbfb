//! The load: connections that each keep so many requests under way, all on one thread.
//!
//! Nothing is shared between them and nothing printed; a latency is two readings of the clock,
//! which neighbours share, and a push. Answers are taken in the order of the requests, so the
//! latency of one that overtook another is that of the other.

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

/// Operations a second of one connection for which memory is set aside beforehand.
const EXPECTED_RATE: f64 = 300_000.0;

/// Operations in one transaction when keys are filled in.
const FILL_OPERATIONS: u64 = 500;

/// Transactions under way when keys are filled in.
const FILL_IN_FLIGHT: usize = 8;

/// One request.
pub(crate) enum Work {
    /// Commit it.
    Commit(Transaction),
    /// Look up a key, which must exist.
    Get(SmolStr, At),
}

impl Work {
    /// Puts the value of request `i`.
    pub(crate) fn put(size: &Size, i: u64) -> Work {
        let put = Transaction::new().put(size.key_of_request(i), size.value_with(i));
        Work::Commit(put)
    }
}

/// Makes request number `i`.
pub(crate) type Make = Arc<dyn Fn(u64) -> Work + Send + Sync>;

/// What a workload is measured with.
pub(crate) struct Bench {
    /// The settings.
    pub(crate) plan: Plan,
    /// The sizes.
    pub(crate) size: Size,
    /// The daemon.
    pub(crate) target: Target,
    /// What is shown.
    pub(crate) progress: Progress,
}

/// What one repetition gave.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Operations that were counted.
    pub(crate) operations: u64,
    /// The time that they took together.
    pub(crate) elapsed: Duration,
    /// Their latencies.
    pub(crate) samples: Samples,
    /// Bytes that the daemon wrote to disk for each operation, those of the warm-up included.
    pub(crate) disk_bytes_per_op: Option<f64>,
    /// Figures that only this workload has.
    pub(crate) extra: Vec<(&'static str, f64)>,
}

impl Measured {
    /// Operations a second.
    pub(crate) fn rate(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// An answer that is under way.
enum Answer {
    Commit(Pending<Committed>),
    Get(Pending<LookupAnswer>),
}

/// When something is measured.
#[derive(Clone, Copy)]
struct Window {
    start: Instant,
    from: Instant,
    until: Instant,
}

impl Bench {
    /// A connection to the namespace of the workload.
    pub(crate) async fn connect(&self) -> anyhow::Result<Namespace> {
        let client = self.target.connect().await?;
        Ok(client.namespace(self.target.namespace()))
    }

    /// Puts the keys from one number up to another.
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

    /// Makes load with all connections for the time of the plan, after the warm-up.
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

/// What one connection did.
#[derive(Default)]
struct Client {
    samples: Samples,
    /// All requests, those of the warm-up included.
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

/// One connection, until the window is over and everything is answered.
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
            // Mostly one answer makes room for one request, and then nobody asks what time it is
            // now.
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
