//! Checks that the files of a store still exist, some of them at a time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::disk::{Disk, DiskError};
use crate::limits::LOOK_FILES;

/// Selects files for checks in turns.
#[derive(Debug, Default)]
pub(super) struct Turns(AtomicUsize);

impl Turns {
    /// Returns the files of `files` whose turn it is, and always the last, which is the newest.
    pub(super) fn next<T>(&self, files: impl ExactSizeIterator<Item = T>) -> Vec<T> {
        let all = files.len();
        let begin = self.0.load(Ordering::Relaxed);
        let begin = if begin < all { begin } else { 0 };
        self.0.store(begin + LOOK_FILES, Ordering::Relaxed);
        let turn = begin..begin + LOOK_FILES;
        let mut chosen = Vec::new();
        for (number, file) in files.enumerate() {
            if turn.contains(&number) || number + 1 == all {
                chosen.push(file);
            }
        }
        chosen
    }
}

/// Returns the first of these files that does not exist.
pub(super) fn first_missing(disk: &dyn Disk, paths: &[PathBuf]) -> Option<PathBuf> {
    // A file that cannot be checked is not known to be missing.
    let is_gone = |path: &&PathBuf| matches!(disk.exists(path), Ok(false));
    paths.iter().find(is_gone).cloned()
}

/// Returns the error for a missing file.
pub(super) fn gone(path: &Path) -> DiskError {
    let error = io::Error::new(io::ErrorKind::NotFound, "it was removed");
    DiskError::new(path, "go on without", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_its_turn_and_the_newest_always() {
        let turns = Turns::default();
        let all = 2 * LOOK_FILES + 5;
        let mut seen: Vec<usize> = Vec::new();
        for _ in 0..3 {
            let now = turns.next(0..all);
            assert!(now.len() <= LOOK_FILES + 1 && now.contains(&(all - 1)));
            seen.extend(now);
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, (0..all).collect::<Vec<_>>());
        // Then from the beginning again, even if there are fewer files by now.
        assert_eq!(turns.next(0..3), [0, 1, 2]);
        assert_eq!(turns.next(0..0), [] as [usize; 0]);
        assert_eq!(turns.next(0..1), [0]);
    }
}
