//! `get`: linearizable reads of current values.

use std::sync::Arc;

use kvs_client::At;

use crate::load::{Bench, Measured, Work};

/// Runs one repetition. The keys must exist.
pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Measured> {
    let keys = bench.size.keys_in_turn();
    let make = move |i| Work::Get(keys.of(i), At::Current);
    bench.drive("gets", Arc::new(make)).await
}
