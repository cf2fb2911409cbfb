//! The minimum cost of durability: the same bytes appended to a preallocated and zeroed file, one
//! write and one `fdatasync` at a time.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::statistics::Samples;

/// Size of the file in bytes; writing restarts at its beginning when it is full.
const FILE_BYTES: usize = 64 << 20;

/// Bytes zeroed per write.
const PIECE_BYTES: usize = 1 << 20;

/// An unnamed file, which the system removes when it is closed.
pub(crate) struct Disk {
    file: File,
    position: usize,
}

impl Disk {
    /// Creates the file.
    pub(crate) fn new(directory: &Path) -> anyhow::Result<Disk> {
        let make = || {
            let file = tempfile::tempfile_in(directory)?;
            let zeros = vec![0; PIECE_BYTES];
            for offset in (0..FILE_BYTES).step_by(PIECE_BYTES) {
                file.write_all_at(&zeros, offset as u64)?;
            }
            file.sync_all()?;
            std::io::Result::Ok(file)
        };
        let file = make()
            .with_context(|| format!("cannot measure the disk in {}", directory.display()))?;
        Ok(Disk { file, position: 0 })
    }

    /// Repeatedly writes and syncs `bytes` bytes, truncated to the size of the file. Returns one
    /// sample per round and the total time.
    pub(crate) fn append(
        &mut self,
        bytes: usize,
        time: Duration,
    ) -> anyhow::Result<(Samples, Duration)> {
        let batch = vec![b'x'; bytes.clamp(1, FILE_BYTES)];
        let mut samples = Samples::with_capacity(1 << 12);
        let begin = Instant::now();
        loop {
            let start = Instant::now();
            if self.position + batch.len() > FILE_BYTES {
                self.position = 0;
            }
            self.file.write_all_at(&batch, self.position as u64)?;
            self.file.sync_data()?;
            self.position += batch.len();
            let end = Instant::now();
            samples.push(end - start);
            if end - begin >= time {
                return Ok((samples, end - begin));
            }
        }
    }
}
