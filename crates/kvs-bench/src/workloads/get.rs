//! `get`: current values, linearizable.

use std::sync::Arc;

use kvs_client::At;

use crate::load::{Bench, Measured, Work};

/// One repetition. The keys must be there.
pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Measured> {
    let keys = bench.size.keys_in_turn();
    let make = move |i| Work::Get(keys.of(i), At::Current);
    bench.drive("gets", Arc::new(make)).await
}
