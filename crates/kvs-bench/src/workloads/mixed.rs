//! `mixed`: nine gets, then a put, as in a read-mostly service.

use std::sync::Arc;

use kvs_client::At;

use crate::load::{Bench, Measured, Work};

/// One request in this many is a put.
const PUT_EVERY: u64 = 10;

/// Runs one repetition. The keys must exist.
pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Measured> {
    let size = bench.size;
    let make = move |i: u64| {
        if i.is_multiple_of(PUT_EVERY) {
            Work::put(&size, i)
        } else {
            Work::Get(size.key_of_request(i), At::Current)
        }
    };
    bench.drive("gets and puts", Arc::new(make)).await
}
