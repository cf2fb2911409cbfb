//! `large-value`: values of 8 MiB are put, then fetched whole. The figures are those of the puts; the
//! gets have their own.

use std::sync::Arc;
use std::time::Instant;

use anyhow::ensure;

use super::load::{Bench, Measured, Work};
use super::statistics::Samples;

/// One repetition.
pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Measured> {
    let size = bench.size;
    bench.fill(0, size.keys).await?;
    let mut measured = bench
        .drive("puts", Arc::new(move |i| Work::put(&size, i)))
        .await?;
    let gets = gets(bench).await?;
    let bytes = size.value as f64;
    measured.extra = vec![
        ("put_bytes_per_s", measured.rate() * bytes),
        ("get_rate", gets.rate()),
        ("get_bytes_per_s", gets.rate() * bytes),
        ("get_p50_us", gets.samples.spread().p50_us),
    ];
    Ok(measured)
}

/// Fetches one value after the other.
async fn gets(bench: &Bench) -> anyhow::Result<Measured> {
    bench.progress.step("gets");
    let namespace = bench.connect().await?;
    let mut measured = Measured::default();
    let mut samples = Samples::default();
    let begin = Instant::now();
    while begin.elapsed() < bench.plan.time {
        let start = Instant::now();
        let key = bench.size.key_of_request(measured.operations);
        let value = namespace.get(key.clone()).await?;
        ensure!(
            value.is_some_and(|value| value.len() == bench.size.value),
            "{key}: not what was put"
        );
        samples.push(start.elapsed());
        measured.operations += 1;
    }
    measured.elapsed = begin.elapsed();
    measured.samples = samples;
    Ok(measured)
}
