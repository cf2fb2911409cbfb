//! `counter`: adds 1 to one number. Adds share few groups but never a version.

use std::sync::Arc;

use kvs_client::Transaction;

use crate::load::{Bench, Measured, Work};

/// Runs one repetition.
pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Measured> {
    let make = |_| Work::Commit(Transaction::new().add("bench-counter", 1));
    bench.drive("adds", Arc::new(make)).await
}
