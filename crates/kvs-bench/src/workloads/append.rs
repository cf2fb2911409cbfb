//! `append`: appends to growing values.

use std::sync::Arc;

use kvs_client::Transaction;

use crate::load::{Bench, Measured, Work};

/// Runs one repetition.
pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Measured> {
    let size = bench.size;
    let make = move |i| {
        let append = Transaction::new().append(size.key_of_request(i), size.value_with(i));
        Work::Commit(append)
    };
    bench.drive("appends", Arc::new(make)).await
}
