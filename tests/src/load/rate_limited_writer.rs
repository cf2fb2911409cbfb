//! A writer that puts numbers to one key at a given rate, one at a time, on a thread separate from
//! the watchers of this process.

use std::time::{Duration, Instant};

use kvs_client::{Client, Namespace, Options, Transaction, UnixConnector};
use tokio::time::interval;

use crate::load::dedicated_thread::apart;
use kvs_testkit::Daemon;

/// Writes the numbers of a range; returns the latency of each commit in microseconds.
///
/// # Errors
/// If a put fails.
pub(crate) async fn write_paced(
    daemon: &Daemon,
    key: &'static str,
    numbers: std::ops::Range<u64>,
    per_second: u64,
) -> anyhow::Result<Vec<f64>> {
    let connector = daemon.connector();
    apart("writer", async move || {
        write(connector, key, numbers, per_second).await
    })
    .await
}

async fn write(
    connector: UnixConnector,
    key: &'static str,
    numbers: std::ops::Range<u64>,
    per_second: u64,
) -> anyhow::Result<Vec<f64>> {
    let client = Client::connect_with(connector, Options::default()).await?;
    let primary = client.namespace("primary");
    // Missed ticks are made up for.
    let mut ticks = interval(Duration::from_secs(1) / u32::try_from(per_second.max(1))?);
    let mut latencies = Vec::new();
    for number in numbers {
        ticks.tick().await;
        latencies.push(put(&primary, key, number).await?);
    }
    Ok(latencies)
}

/// Puts a number; returns the latency in microseconds.
pub(crate) async fn put(primary: &Namespace, key: &str, number: u64) -> anyhow::Result<f64> {
    let start = Instant::now();
    let put = Transaction::new().put(key, number.to_string());
    primary.commit(put).await?;
    Ok(start.elapsed().as_secs_f64() * 1e6)
}
