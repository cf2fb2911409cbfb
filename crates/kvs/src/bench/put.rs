//! `put`: values under keys that exist, each commit durable before it is answered.

use std::sync::Arc;

use super::load::{Bench, Measured, Work};

/// One repetition. The keys must be there.
pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Measured> {
    let size = bench.size;
    bench
        .drive("puts", Arc::new(move |i| Work::put(&size, i)))
        .await
}
