//! Load of one kind: requests through one connection with a fixed number in flight, and their cost.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kvs_client::{
    Client, ClientError, LookupOptions, Namespace, Options, Pending, Transaction, UnixConnector,
    WatchOptions,
};

use crate::load::sequence_check::numbered;
use kvs_testkit::median;

/// Number of keys, all in one directory.
pub(crate) const KEYS: u64 = 1_000;

/// Size of a value in bytes.
const VALUE_BYTES: usize = 64;

/// Stride between successive keys. A prime, so that successive keys are not neighbors in the
/// directory and no key repeats within a round.
const STRIDE: u64 = 7_919;

/// The warm-up is the time of a load divided by this.
const WARM_UP_SHARE: u32 = 5;

/// The kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Puts to existing keys, with this many in flight.
    Put(usize),
    /// Gets of existing keys, with this many in flight.
    Get(usize),
    /// Puts to a watched key, each sent after the watcher has received the previous one.
    Watch,
}

/// The result of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loaded {
    /// Number of requests, including the warm-up.
    pub(crate) requests: u64,
    /// Microseconds per request: for sequential requests the median latency, otherwise the time
    /// divided by the number of requests.
    pub(crate) cost_us: f64,
}

/// A connection that generates load.
pub(crate) struct Loader {
    connector: UnixConnector,
    primary: Namespace,
    // Created in advance, so that creating requests does not distort the measurement.
    keys: Vec<String>,
}

/// Completed requests.
struct Driven {
    requests: u64,
    elapsed: Duration,
    /// Latencies of sequential requests.
    latencies_us: Vec<f64>,
}

impl Loader {
    /// Connects to the daemon.
    pub(crate) async fn connect(connector: UnixConnector) -> anyhow::Result<Self> {
        Ok(Self {
            primary: primary(connector.clone()).await?,
            connector,
            keys: (0..KEYS).map(key).collect(),
        })
    }

    /// Generates load for the given time. Puts and their values are numbered from `first` on.
    ///
    /// # Errors
    /// If a request fails, or its answer is wrong.
    pub(crate) async fn during(
        &self,
        load: Load,
        first: u64,
        time: Duration,
    ) -> anyhow::Result<Loaded> {
        let warm_up = self.until(load, first, time / WARM_UP_SHARE).await?;
        let first = first + warm_up.requests;
        let mut driven = self.until(load, first, time).await?;
        let cost_us = match load {
            Load::Put(1) | Load::Get(1) | Load::Watch => median(&mut driven.latencies_us),
            Load::Put(_) | Load::Get(_) => {
                driven.elapsed.as_secs_f64() * 1e6 / driven.requests as f64
            }
        };
        Ok(Loaded {
            requests: warm_up.requests + driven.requests,
            cost_us,
        })
    }

    /// Sends `count` puts, numbered from `first` on. Calls `sent` with the number of puts sent so
    /// far.
    ///
    /// # Errors
    /// If a put fails.
    pub(crate) async fn put_all(
        &self,
        in_flight: usize,
        first: u64,
        count: u64,
        mut sent: impl FnMut(u64),
    ) -> anyhow::Result<()> {
        let more = |number| {
            sent(number);
            number < count
        };
        self.puts(in_flight, first, more).await?;
        Ok(())
    }

    async fn until(&self, load: Load, first: u64, time: Duration) -> anyhow::Result<Driven> {
        let start = Instant::now();
        // At least one, however slow the machine is.
        let more = |sent| sent == 0 || start.elapsed() < time;
        match load {
            Load::Put(in_flight) => self.puts(in_flight, first, more).await,
            Load::Get(in_flight) => self.gets(in_flight, more).await,
            Load::Watch => self.watched(first, more).await,
        }
    }

    async fn puts(
        &self,
        in_flight: usize,
        first: u64,
        more: impl FnMut(u64) -> bool,
    ) -> anyhow::Result<Driven> {
        let put = async |sent| {
            let number = first + sent;
            let put = Transaction::new().put(self.key(number), value(number));
            self.primary.submit(put).await
        };
        drive(in_flight, more, put, |_| true).await
    }

    async fn gets(
        &self,
        in_flight: usize,
        more: impl FnMut(u64) -> bool,
    ) -> anyhow::Result<Driven> {
        let get = async |sent| {
            let options = LookupOptions::default();
            self.primary.submit_lookup(self.key(sent), options).await
        };
        drive(in_flight, more, get, |answer| answer.entry.is_some()).await
    }

    async fn watched(
        &self,
        first: u64,
        mut more: impl FnMut(u64) -> bool,
    ) -> anyhow::Result<Driven> {
        let watcher = primary(self.connector.clone()).await?;
        let mut events = watcher.watch(WatchOptions::new().key("watched")).await?;
        let start = Instant::now();
        let mut latencies_us = Vec::new();
        let mut sent = 0;
        while more(sent) {
            let number = first + sent;
            let asked = Instant::now();
            let put = Transaction::new().put("watched", number.to_string());
            let answer = self.primary.submit(put).await?;
            let (_, told) = numbered(&events.recv().await?)?;
            latencies_us.push(micros(asked));
            ensure!(told == number, "told {told} where {number} should be");
            answer.await?;
            sent += 1;
        }
        Ok(Driven {
            requests: sent,
            elapsed: start.elapsed(),
            latencies_us,
        })
    }

    fn key(&self, number: u64) -> &str {
        let key = self.keys.get((number % KEYS) as usize);
        key.map_or("", String::as_str)
    }
}

/// Returns the key with a given number.
pub(crate) fn key(number: u64) -> String {
    format!("d.k{:04}", number % KEYS * STRIDE % KEYS)
}

/// Returns the value of a put: its number, padded.
pub(crate) fn value(number: u64) -> Vec<u8> {
    format!("{number:<VALUE_BYTES$}").into_bytes()
}

async fn primary(connector: UnixConnector) -> anyhow::Result<Namespace> {
    let client = Client::connect_with(connector, Options::default()).await?;
    Ok(client.namespace("primary"))
}

/// Keeps `in_flight` requests unanswered as long as `more`, called with the number sent, returns
/// true.
async fn drive<A>(
    in_flight: usize,
    mut more: impl FnMut(u64) -> bool,
    submit: impl AsyncFn(u64) -> Result<Pending<A>, ClientError>,
    is_right: impl Fn(&A) -> bool,
) -> anyhow::Result<Driven> {
    let start = Instant::now();
    let mut waiting = VecDeque::with_capacity(in_flight);
    let mut latencies_us = Vec::new();
    let (mut sent, mut answered) = (0, 0);
    loop {
        while waiting.len() < in_flight && more(sent) {
            let asked = Instant::now();
            waiting.push_back((asked, submit(sent).await?));
            sent += 1;
        }
        let Some((asked, answer)) = waiting.pop_front() else {
            break;
        };
        let answer = answer
            .await
            .with_context(|| format!("request {answered}"))?;
        ensure!(
            is_right(&answer),
            "request {answered}: the key is not there"
        );
        answered += 1;
        if in_flight == 1 {
            latencies_us.push(micros(asked));
        }
    }
    Ok(Driven {
        requests: answered,
        elapsed: start.elapsed(),
        latencies_us,
    })
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}
