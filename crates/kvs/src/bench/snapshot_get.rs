//! `snapshot-get`: values of one state, whatever has been committed since.

use std::sync::Arc;

use kvs_client::At;

use super::load::{Bench, Measured, Work};

/// One repetition. The keys must be there.
pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Measured> {
    let size = bench.size;
    let namespace = bench.connect().await?;
    let snapshot = namespace.info(At::Current).await?.snapshot;
    // So that the snapshot is not the newest state.
    namespace.put(size.key(0), size.value_with(0)).await?;
    let make = move |i| Work::Get(size.key_of_request(i), At::Snapshot(snapshot.clone()));
    bench.drive("gets", Arc::new(make)).await
}
