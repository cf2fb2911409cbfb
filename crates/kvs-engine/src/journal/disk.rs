//! stub
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::api::{Appended, GroupNumber, Journal, JournalReader, Preparer, SegmentInfo};
use super::error::JournalError;
use crate::env::Environment;
use crate::limits::SEGMENT_BYTES;

/// How a journal is kept on disk.
#[derive(Debug, Clone, Copy)]
pub struct JournalOptions {
    /// Bytes of a new segment.
    pub segment_bytes: u64,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES,
        }
    }
}

/// The journal on disk.
#[derive(Debug)]
pub struct DiskJournal {}

impl DiskJournal {
    /// Opens the journal in `dir` (made if missing) and hands the groups behind `replay_from` to
    /// `on_group`.
    ///
    /// # Errors
    /// Those of `on_group`, and damage or failures of the journal.
    pub fn open<E: From<JournalError>>(
        _env: &Environment,
        _dir: &Path,
        _options: JournalOptions,
        _replay_from: GroupNumber,
        _on_group: &mut dyn FnMut(GroupNumber, Bytes) -> Result<(), E>,
    ) -> Result<Self, E> {
        todo!()
    }
}
impl Journal for DiskJournal {
    fn append(&mut self, _: GroupNumber, _: &[u8]) -> Appended {
        todo!()
    }
    fn append_unsynced(&mut self, _: GroupNumber, _: &[u8]) -> Appended {
        todo!()
    }
    fn sync(&mut self) -> Result<GroupNumber, JournalError> {
        todo!()
    }
    fn newest(&self) -> GroupNumber {
        todo!()
    }
    fn reader(&self) -> Arc<dyn JournalReader> {
        todo!()
    }
    fn trim(&mut self, _: GroupNumber) -> Result<(), JournalError> {
        todo!()
    }
    fn wants_preparation(&self) -> bool {
        todo!()
    }
    fn preparer(&self) -> Preparer {
        todo!()
    }
    fn bytes(&self) -> u64 {
        todo!()
    }
    fn segments(&self) -> Vec<SegmentInfo> {
        todo!()
    }
}
