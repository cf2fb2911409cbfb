//! `large-value`: puts and then gets values of 8 MiB, or of `--value-size`, one at a time. Both are
//! streamed, so no value is held in memory as a whole. The main figures are those of the puts; the
//! gets have their own.

use std::time::Instant;

use anyhow::{bail, ensure};
use bytes::Bytes;
use kvs_client::{At, Entry, Namespace, Transaction, ValueInfo};
use smol_str::SmolStr;

use crate::load::{Bench, Measured};
use crate::statistics::Samples;
use crate::transfer;

/// Bytes per piece.
const PIECE_BYTES: usize = 1 << 20;

/// Interval between unique stamps in a value, in bytes.
const UNIQUE_BYTES: usize = 4096;

/// Runs one repetition.
pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Measured> {
    let limit = match bench.target.directory() {
        Some(directory) => Some(transfer::rate(directory, bench.size.value)?),
        None => None,
    };
    let namespace = bench.connect().await?;
    let written = bench.target.written_bytes();
    bench.progress.step("puts");
    let start = std::time::SystemTime::now();
    let first = start.duration_since(std::time::UNIX_EPOCH)?.as_micros();
    let mut puts = repeat(bench, async |i| {
        let key = bench.size.key_of_request(i);
        // Different from the values of all repetitions.
        put(&namespace, key, bench.size.value, first as u64 + i).await
    })
    .await?;
    puts.disk_bytes_per_op = written
        .zip(bench.target.written_bytes())
        .map(|(before, after)| after.saturating_sub(before) as f64 / puts.operations.max(1) as f64);
    bench.progress.step("gets");
    let keys = puts.operations.min(bench.size.keys);
    let gets = repeat(bench, async |i| {
        get(
            &namespace,
            bench.size.key_of_request(i % keys),
            bench.size.value,
        )
        .await
    })
    .await?;
    let bytes = bench.size.value as f64;
    puts.extra = vec![
        ("put_bytes_per_s", puts.rate() * bytes),
        ("get_rate", gets.rate()),
        ("get_bytes_per_s", gets.rate() * bytes),
        ("get_p50_us", gets.samples.spread().p50_us),
    ];
    let limit = limit.map(|rate| ("socket_to_file_bytes_per_s", rate));
    puts.extra.extend(limit);
    Ok(puts)
}

/// Runs one operation after the other until the time is over.
async fn repeat(
    bench: &Bench,
    operation: impl AsyncFn(u64) -> anyhow::Result<()>,
) -> anyhow::Result<Measured> {
    let mut measured = Measured::default();
    let mut samples = Samples::default();
    let begin = Instant::now();
    while begin.elapsed() < bench.plan.time {
        let start = Instant::now();
        operation(measured.operations).await?;
        samples.push(start.elapsed());
        measured.operations += 1;
        bench.progress.at(begin.elapsed(), bench.plan.time);
    }
    measured.elapsed = begin.elapsed();
    measured.samples = samples;
    Ok(measured)
}

/// Uploads a value in pieces and commits it.
async fn put(namespace: &Namespace, key: SmolStr, bytes: usize, number: u64) -> anyhow::Result<()> {
    let mut upload = namespace.upload().await?;
    let mut left = bytes;
    while left > 0 {
        let piece = piece(left.min(PIECE_BYTES), number, left);
        left -= piece.len();
        upload.write(piece).await?;
    }
    let uploaded = upload.finish().await?;
    let transaction = Transaction::new().put_upload(key, uploaded);
    namespace.commit(transaction).await?;
    Ok(())
}

/// Returns bytes of which no part equals that of another value: equal parts would be stored only
/// once.
fn piece(bytes: usize, number: u64, left: usize) -> Bytes {
    let mut piece = vec![b'x'; bytes];
    for (at, block) in piece.chunks_mut(UNIQUE_BYTES).enumerate() {
        let stamp = [number, left as u64, at as u64].map(u64::to_be_bytes);
        for (byte, digit) in block.iter_mut().zip(stamp.as_flattened()) {
            *byte = *digit;
        }
    }
    piece.into()
}

/// Reads a value in pieces.
async fn get(namespace: &Namespace, key: SmolStr, bytes: usize) -> anyhow::Result<()> {
    let found = namespace.lookup(key.clone(), Default::default()).await?;
    let Some(Entry::Value(ValueInfo {
        size,
        bytes: inline,
        ..
    })) = found.entry
    else {
        bail!("{key}: no value");
    };
    let mut read = inline.as_ref().map_or(0, Bytes::len);
    if inline.is_none() {
        let mut reader = namespace.reader(key.clone(), At::Snapshot(found.snapshot), 0, size);
        while let Some(piece) = reader.next().await? {
            read += piece.len();
        }
    }
    ensure!(read == bytes, "{key}: {read} bytes instead of {bytes}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_block_of_a_value_comes_twice() {
        let pieces = [(1, 9000), (1, 5000), (2, 9000)];
        let values = pieces.map(|(number, left)| piece(5000, number, left));
        let blocks: HashSet<&[u8]> = values.iter().flat_map(|v| v.chunks(UNIQUE_BYTES)).collect();
        assert_eq!(blocks.len(), 6);
    }
}
