//! `counter`: adds of 1 to one number. They are merged into few groups but never into one version.

use std::sync::Arc;

use kvs_client::Transaction;

use crate::load::{Bench, Measured, Work};

/// One repetition.
pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Measured> {
    let make = |_| Work::Commit(Transaction::new().add("bench-counter", 1));
    bench.drive("adds", Arc::new(make)).await
}
