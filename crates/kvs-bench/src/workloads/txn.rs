//! `txn`: a condition, an add to a shared counter, and two puts. Every transaction touches the
//! counter, so no two can share a version.

use std::sync::Arc;

use kvs_client::Transaction;

use crate::load::{Bench, Measured, Work};
use crate::plan::Size;

/// Returns transaction number `i`.
pub(crate) fn transaction(size: &Size, i: u64) -> Work {
    let (key, other) = (size.key_of_request(2 * i), size.key_of_request(2 * i + 1));
    let transaction = Transaction::new()
        .if_present(key.clone())
        .add("bench-counter", 1)
        .put(key, size.value_with(i))
        .put(other, size.value_with(i));
    Work::Commit(transaction)
}

/// Runs one repetition. The keys must exist.
pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Measured> {
    let size = bench.size;
    bench
        .drive("transactions", Arc::new(move |i| transaction(&size, i)))
        .await
}
