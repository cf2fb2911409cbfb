//! `put`: puts to existing keys; each commit is durable before it is answered.

use std::sync::Arc;

use kvs_client::Transaction;

use crate::load::{Bench, Measured, Work};

/// Runs one repetition. The keys must exist.
pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Measured> {
    let (size, keys) = (bench.size, bench.size.keys_in_turn());
    let make = move |i| {
        let put = Transaction::new().put(keys.of(i), size.value_with(i));
        Work::Commit(put)
    };
    bench.drive("puts", Arc::new(make)).await
}
