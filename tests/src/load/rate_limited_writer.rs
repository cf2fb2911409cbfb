//! A writer that puts numbers to one key at a given pace, one at a time, apart from the watchers of
//! this process.

use std::time::{Duration, Instant};

use kvs_client::{Client, Namespace, Options, Transaction, UnixConnector};
use tokio::time::interval;

use crate::load::dedicated_thread::apart;
use kvs_testkit::Daemon;

/// Writes the numbers of a range; the microseconds from the call of each commit to its answer.
///
/// # Errors
/// A put failed.
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
    // Late ones are made up for.
    let mut ticks = interval(Duration::from_secs(1) / u32::try_from(per_second.max(1))?);
    let mut latencies = Vec::new();
    for number in numbers {
        ticks.tick().await;
        latencies.push(put(&primary, key, number).await?);
    }
    Ok(latencies)
}

/// Puts a number; the microseconds that it took.
pub(crate) async fn put(primary: &Namespace, key: &str, number: u64) -> anyhow::Result<f64> {
    let start = Instant::now();
    let put = Transaction::new().put(key, number.to_string());
    primary.commit(put).await?;
    Ok(start.elapsed().as_secs_f64() * 1e6)
}
