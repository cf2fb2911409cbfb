//! `snapshot-get`: gets from one snapshot, unaffected by later commits, by a client that has
//! already cached the values; for comparison, the same gets from the daemon, and current values
//! from a near cache.

use std::sync::Arc;
use std::time::Instant;

use anyhow::ensure;
use bytes::Bytes;
use kvs_client::{At, CachedNamespace, ClientError, Namespace, Snapshot};
use smol_str::SmolStr;
use tokio::task::JoinSet;

use crate::load::{Bench, Measured, Work};
use crate::plan::Size;
use crate::progress::Progress;
use crate::statistics::Samples;

/// Cache space per key in bytes, besides its value: more than any layout needs.
const CACHE_BYTES_A_KEY: u64 = 4096;

/// Only one in this many gets is timed, because reading the clock costs a considerable part of a
/// get.
const TIMED: u64 = 16;

/// The task yields after this many gets.
const TURN: u64 = 4096;

/// Runs one repetition. The keys must exist.
pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Measured> {
    let size = bench.size;
    let namespace = bench.connect().await?;
    let snapshot = namespace.info(At::Current).await?.snapshot;
    // Ensures that the snapshot is not the newest state.
    namespace.put(size.key(0), size.value_with(0)).await?;
    let at = At::Snapshot(snapshot.clone());
    let make = move |i| Work::Get(size.key_of_request(i), at.clone());
    let asked = bench.drive("gets from the daemon", Arc::new(make)).await?;

    let near = Source::Near(caching(bench).await?.cached().await?);
    near.get_all(&size).await?;
    let near = warm(bench, "gets of a near cache", near).await?;

    let kept = Source::Snapshot(caching(bench).await?.snapshot(snapshot));
    let start = Instant::now();
    kept.get_all(&size).await?;
    let first = start.elapsed().as_secs_f64() * 1e6 / size.keys as f64;
    let mut measured = warm(bench, "gets", kept).await?;
    measured.extra = vec![
        ("rate_without_cache", asked.rate()),
        ("p50_us_without_cache", asked.samples.spread().p50_us),
        ("first_read_us", first),
        ("rate_near_cache", near.rate()),
    ];
    Ok(measured)
}

/// Returns the namespace through a client whose cache can hold all of it.
async fn caching(bench: &Bench) -> anyhow::Result<Namespace> {
    let namespace = bench.connect().await?;
    let bytes = bench.size.keys * (CACHE_BYTES_A_KEY + 2 * bench.size.value as u64);
    // A value is cached only if it is a small part of the cache.
    let bytes = bytes.max(256 * bench.size.value as u64).max(16 << 20);
    Ok(namespace
        .client()
        .with_cache(bytes)
        .namespace(namespace.name()))
}

/// The source of the values.
#[derive(Clone)]
enum Source {
    /// A snapshot.
    Snapshot(Snapshot),
    /// The newest state.
    Near(CachedNamespace),
}

impl Source {
    async fn get(&self, key: SmolStr) -> Result<Option<Bytes>, ClientError> {
        match self {
            Source::Snapshot(reader) => reader.get(key).await,
            Source::Near(near) => near.get(key).await,
        }
    }

    /// Reads each key once.
    async fn get_all(&self, size: &Size) -> anyhow::Result<()> {
        for n in 0..size.keys {
            let key = size.key(n);
            ensure!(self.get(key.clone()).await?.is_some(), "{key}: not found");
        }
        Ok(())
    }
}

/// Reads one key after the other for the planned time, after the warm-up.
async fn warm(bench: &Bench, what: &str, source: Source) -> anyhow::Result<Measured> {
    bench.progress.step(what);
    let size = bench.size;
    let keys: Arc<[SmolStr]> = (0..size.keys).map(|n| size.key_of_request(n)).collect();
    let from = Instant::now() + bench.plan.warm_up;
    let until = from + bench.plan.time;
    let mut tasks = JoinSet::new();
    for number in 0..bench.plan.clients {
        let progress = (number == 0).then(|| bench.progress.clone());
        tasks.spawn(gets(source.clone(), keys.clone(), from, until, progress));
    }
    let mut all = Measured::default();
    while let Some(one) = tasks.join_next().await {
        let one = one??;
        all.operations += one.operations;
        all.elapsed = all.elapsed.max(one.elapsed);
        all.samples.extend(one.samples);
    }
    Ok(all)
}

async fn gets(
    source: Source,
    keys: Arc<[SmolStr]>,
    from: Instant,
    until: Instant,
    progress: Option<Progress>,
) -> anyhow::Result<Measured> {
    let began = Instant::now();
    let mut done = Measured {
        samples: Samples::with_capacity(((until - from).as_secs_f64() * 250_000.0) as usize),
        ..Measured::default()
    };
    let mut tick = began;
    let mut first = None;
    let mut turn: u64 = 0;
    for key in keys.iter().cycle() {
        turn += 1;
        if !turn.is_multiple_of(TIMED) {
            let value = source.get(key.clone()).await?;
            ensure!(value.is_some(), "{key}: not found");
            continue;
        }
        let start = Instant::now();
        let value = source.get(key.clone()).await?;
        ensure!(value.is_some(), "{key}: not found");
        let now = Instant::now();
        if now >= from {
            let (since, before) = *first.get_or_insert((now, turn));
            done.samples.push(now - start);
            if now >= until {
                done.operations = turn - before;
                done.elapsed = now - since;
                return Ok(done);
            }
        }
        if let Some(progress) = progress.as_ref().filter(|_| now >= tick) {
            progress.at(now - began, until - began);
            tick = now + Progress::TICK;
        }
        if turn.is_multiple_of(TURN) {
            tokio::task::yield_now().await;
        }
    }
    Ok(done)
}
