//! The disk baseline, measured next to each run: a loop that appends to a zeroed file and syncs. It
//! separates the cost of the machine from that of kvs.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use kvs_testkit::Counters;
use kvs_testkit::median;

/// The result of the loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    /// Total time in seconds.
    pub(crate) seconds: f64,
    /// Median time of an append with its sync, in microseconds.
    pub(crate) median_us: f64,
    /// Bytes written to disk.
    pub(crate) written: u64,
}

/// Appends `bytes` bytes to a zeroed file, `count` times, each with a sync.
pub(crate) fn append(directory: &Path, count: usize, bytes: usize) -> anyhow::Result<Reference> {
    let path = directory.join("reference");
    let file = File::create(&path)?;
    let zeroes = vec![0; 1 << 20];
    let total = (count * bytes) as u64;
    for offset in (0..total).step_by(zeroes.len()) {
        file.write_all_at(&zeroes, offset)?;
    }
    file.sync_all()?;
    let record = vec![0x5a; bytes];
    let mut each = Vec::with_capacity(count);
    let before = Counters::own().written()?;
    let start = Instant::now();
    for index in 0..count {
        let one = Instant::now();
        file.write_all_at(&record, (index * bytes) as u64)?;
        file.sync_data()?;
        each.push(one.elapsed().as_secs_f64() * 1e6);
    }
    let seconds = start.elapsed().as_secs_f64();
    let written = Counters::own().written()? - before;
    std::fs::remove_file(&path)?;
    Ok(Reference {
        seconds,
        median_us: median(&mut each),
        written,
    })
}
