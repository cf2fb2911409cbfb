//! `put`: values under keys that exist, each commit durable before it is answered.

use std::sync::Arc;

use kvs_client::Transaction;

use crate::load::{Bench, Measured, Work};

/// One repetition. The keys must be there.
pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Measured> {
    let (size, keys) = (bench.size, bench.size.keys_in_turn());
    let make = move |i| {
        let put = Transaction::new().put(keys.of(i), size.value_with(i));
        Work::Commit(put)
    };
    bench.drive("puts", Arc::new(make)).await
}
