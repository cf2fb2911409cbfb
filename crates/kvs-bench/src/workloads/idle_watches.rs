//! `idle-watches`: puts while many watches wait for other keys; for comparison, the same puts
//! without watches, and the daemon's memory per watch.

use std::sync::Arc;

use kvs_client::WatchOptions;
use kvs_proto::STREAMS;

use crate::load::{Bench, Measured, Work};

/// Runs one repetition. The keys must exist.
pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Measured> {
    let size = bench.size;
    let puts = move |i| Work::put(&size, i);
    let without = bench.drive("puts without watches", Arc::new(puts)).await?;
    bench.progress.step("watches");
    let before = bench.target.rss_bytes();
    let mut watches = Vec::with_capacity(size.watchers);
    let mut namespace = None;
    for number in 0..size.watchers {
        if number.is_multiple_of(STREAMS) {
            namespace = Some(bench.connect().await?);
        }
        if let Some(namespace) = &namespace {
            let options = WatchOptions::new().key(format!("idle.{number}"));
            watches.push(namespace.watch(options).await?);
        }
    }
    let after = bench.target.rss_bytes();
    let mut measured = bench.drive("puts", Arc::new(puts)).await?;
    measured.extra = vec![
        ("watches", size.watchers as f64),
        ("rate_without_watches", without.rate()),
        ("p50_us_without_watches", without.samples.spread().p50_us),
    ];
    if let (Some(before), Some(after)) = (before, after) {
        let bytes = after.saturating_sub(before) as f64 / size.watchers.max(1) as f64;
        measured.extra.push(("rss_bytes_per_watch", bytes));
    }
    drop(watches);
    Ok(measured)
}
