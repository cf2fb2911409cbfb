//! `restart`: kills our own daemon, whose store is full of keys, and starts it again. A latency is
//! the time from the start of the process until it serves; after each restart one value is read.
//!
//! After the last restart all keys are listed, so that the resident memory is that of a daemon with
//! all keys loaded.

use std::path::Path;
use std::time::Instant;

use anyhow::ensure;
use kvs_client::ListOptions;

use crate::load::{Bench, Measured};
use crate::statistics::Samples;

/// Minimum number of restarts, however long they take.
const RESTARTS: usize = 3;

/// Runs one repetition. The keys must exist.
pub(crate) async fn measure(bench: &mut Bench) -> anyhow::Result<Measured> {
    bench.progress.step("restarts");
    let size = bench.size;
    let mut samples = Samples::default();
    let begin = Instant::now();
    let mut elapsed = std::time::Duration::ZERO;
    while samples.len() < RESTARTS || begin.elapsed() < bench.plan.time {
        let time = bench.target.restart(true).await?;
        samples.push(time);
        elapsed += time;
        let key = size.key(size.keys - 1);
        let value = bench.connect().await?.get(key.clone()).await?;
        ensure!(
            value.is_some_and(|value| value.len() == size.value),
            "{key}: not what was put"
        );
    }
    let mut extra = Vec::new();
    let clean = bench.target.restart(false).await?;
    extra.push(("clean_restart_us", clean.as_secs_f64() * 1e6));
    bench.progress.step("listing");
    let start = Instant::now();
    extra.push(("listed_keys", list(bench).await? as f64));
    extra.push(("list_us", start.elapsed().as_secs_f64() * 1e6));
    if let Some(store) = bench.target.store() {
        let journal = size_of(&store.join("journal"));
        extra.push(("journal_bytes", journal as f64));
        extra.push(("packs_bytes", (size_of(&store) - journal) as f64));
    }
    Ok(Measured {
        operations: samples.len() as u64,
        elapsed,
        samples,
        disk_bytes_per_op: None,
        extra,
    })
}

/// Lists everything page by page; returns the number of entries.
async fn list(bench: &Bench) -> anyhow::Result<usize> {
    let namespace = bench.connect().await?;
    let mut options = ListOptions::new().recursive();
    let mut entries = 0;
    loop {
        let page = namespace.list(".", options.clone()).await?;
        entries += page.entries.len();
        options.after = page.next;
        if !page.more || options.after.is_none() {
            return Ok(entries);
        }
    }
}

/// Returns the total size of the files below a directory, ignoring files that vanish meanwhile.
fn size_of(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    entries
        .flatten()
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .map(|(path, metadata)| {
            if metadata.is_dir() {
                size_of(&path)
            } else {
                metadata.len()
            }
        })
        .sum()
}
