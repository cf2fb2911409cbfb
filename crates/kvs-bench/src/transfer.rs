//! The minimum cost of a large value: its bytes through a unix socket into a file, and one
//! `fdatasync`.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, anyhow};

/// Bytes per read or write.
const PIECE_BYTES: usize = 1 << 20;

/// Measures bytes per second once. Blocks the thread.
pub(crate) fn rate(directory: &Path, bytes: usize) -> anyhow::Result<f64> {
    let mut file = tempfile::tempfile_in(directory)
        .with_context(|| format!("cannot measure the disk in {}", directory.display()))?;
    let (mut ours, mut theirs) = UnixStream::pair()?;
    let start = Instant::now();
    let sender = std::thread::spawn(move || {
        let piece = vec![b'x'; PIECE_BYTES];
        let mut left = bytes;
        while left > 0 {
            let now = piece.get(..left).unwrap_or(&piece);
            ours.write_all(now)?;
            left -= now.len();
        }
        std::io::Result::Ok(())
    });
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = theirs.read(&mut piece)?;
        if read == 0 {
            break;
        }
        file.write_all(piece.get(..read).unwrap_or_default())?;
    }
    file.sync_data()?;
    let elapsed = start.elapsed();
    let sent = sender.join().map_err(|_| anyhow!("the sender ended"))?;
    sent?;
    Ok(bytes as f64 / elapsed.as_secs_f64().max(1e-9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_any_size_get_through() {
        let directory = tempfile::tempdir().unwrap();
        for bytes in [1, PIECE_BYTES + 1] {
            assert!(rate(directory.path(), bytes).unwrap() > 0.0);
        }
    }
}
