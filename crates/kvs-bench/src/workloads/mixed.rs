//! `mixed`: nine gets, then a put, as of a service that is mostly asked.

use std::sync::Arc;

use kvs_client::At;

use crate::load::{Bench, Measured, Work};

/// One request in so many is a put.
const PUT_EVERY: u64 = 10;

/// One repetition. The keys must be there.
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
