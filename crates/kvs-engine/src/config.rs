//! Configuration of a store.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use kvs_storage::LocalOptions;
use kvs_storage::limits::{OPEN_FILES, SEGMENT_BYTES, SEGMENT_BYTES_MIN};
use kvs_tree::HashAlgorithm;

use crate::error::{EngineError, ErrorKind};
use crate::limits::{
    BUSY_POLL, CACHE_BYTES, CHECKPOINT_BYTES, CHECKPOINT_VERSIONS, MATCH_LAG, MATCH_SLICE,
    RESERVE_BYTES, RETAIN_BYTES, RETAIN_BYTES_MIN, RETAIN_MS, RETAIN_VERSIONS, SLICE_VISITS,
};

/// When a commit may be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// After a sync that covers it.
    #[default]
    Commit,
    /// Once it is written; synced every second. A power failure may lose the last interval.
    Interval,
    /// Once it is written; synced only by checkpoints and a clean stop.
    None,
}

impl FromStr for Durability {
    type Err = EngineError;

    fn from_str(text: &str) -> Result<Self, EngineError> {
        match text {
            "commit" => Ok(Self::Commit),
            "interval" => Ok(Self::Interval),
            "none" => Ok(Self::None),
            _ => Err(EngineError::new(
                ErrorKind::Invalid,
                format!("invalid durability mode {text:?}: use commit, interval or none"),
            )),
        }
    }
}

/// How much history is kept. A version is dropped when it exceeds both `versions` and `time_ms`, or
/// when the journal exceeds `bytes`, which takes precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Versions of each namespace.
    pub versions: u64,
    /// Age in milliseconds.
    pub time_ms: u64,
    /// Bytes of journal on disk.
    pub bytes: u64,
}

/// Configuration of an engine and its store.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Directory of the store; created if it does not exist.
    pub dir: PathBuf,
    /// When commits are acknowledged.
    pub durability: Durability,
    /// Hash of a new store; an existing store with another hash is refused. `None`: the hash of an
    /// existing store, blake3 for a new one.
    pub algorithm: Option<HashAlgorithm>,
    /// How much history is kept.
    pub retention: Retention,
    /// Approximate memory for decoded objects, in bytes.
    pub cache_bytes: u64,
    /// The user id with all rights.
    pub instance_owner: u32,
    /// Most bytes of journal between two checkpoints.
    pub checkpoint_bytes: u64,
    /// Most versions between two checkpoints.
    pub checkpoint_versions: u64,
    /// Bytes of a journal segment; `None`: derived from the retention.
    pub segment_bytes: Option<u64>,
    /// Most packs, and most journal segments, that are kept open for reading.
    pub open_files: usize,
    /// How long the journal's thread busy-polls for its next job after several in quick succession
    /// ([`BusyPoll`](crate::BusyPoll)); zero disables this.
    pub busy_poll: Duration,
    /// Visits in a slice of matching (`MATCH_SLICE`); tests use few, to get many slices.
    pub match_slice: usize,
    /// Versions that may wait to be matched (`MATCH_LAG`); tests use few.
    pub match_lag: u64,
    /// Visits after which long work yields.
    pub slice_visits: usize,
}

impl EngineConfig {
    /// The defaults, for a store in `dir` owned by `instance_owner`.
    pub fn new(dir: impl Into<PathBuf>, instance_owner: u32) -> Self {
        Self {
            dir: dir.into(),
            durability: Durability::Commit,
            algorithm: None,
            retention: Retention {
                versions: RETAIN_VERSIONS,
                time_ms: RETAIN_MS,
                bytes: RETAIN_BYTES,
            },
            cache_bytes: CACHE_BYTES,
            instance_owner,
            checkpoint_bytes: CHECKPOINT_BYTES,
            checkpoint_versions: CHECKPOINT_VERSIONS,
            segment_bytes: None,
            open_files: OPEN_FILES,
            busy_poll: BUSY_POLL,
            match_slice: MATCH_SLICE,
            match_lag: MATCH_LAG,
            slice_visits: SLICE_VISITS,
        }
    }

    /// Bytes of a segment. Trimming drops whole segments, so a small retention needs small ones.
    pub(crate) fn segment_bytes(&self) -> u64 {
        let by_retention = (self.retention.bytes / 16).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES);
        self.segment_bytes.unwrap_or(by_retention)
    }

    /// Bytes of journal between two checkpoints. A small retention needs frequent checkpoints.
    pub(crate) fn checkpoint_bytes(&self) -> u64 {
        self.checkpoint_bytes.min(self.retention.bytes / 4).max(1)
    }

    /// Bytes of disk reserved for a checkpoint on a full disk.
    pub(crate) fn reserve_bytes(&self) -> u64 {
        self.checkpoint_bytes().min(RESERVE_BYTES)
    }

    /// The options of local storage.
    pub(crate) fn local(&self) -> LocalOptions {
        LocalOptions {
            dir: self.dir.clone(),
            segment_bytes: self.segment_bytes(),
            open_files: self.open_files,
            reserve_bytes: self.reserve_bytes(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), EngineError> {
        if self.retention.bytes < RETAIN_BYTES_MIN {
            return Err(EngineError::new(
                ErrorKind::Invalid,
                format!(
                    "retaining {} bytes is below the minimum of {RETAIN_BYTES_MIN}",
                    self.retention.bytes
                ),
            ));
        }
        Ok(())
    }
}
