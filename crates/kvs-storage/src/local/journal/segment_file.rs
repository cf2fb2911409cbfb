//! The file of a segment: a header of 512 bytes, then adjacent groups. The rest is zeros, or older
//! groups that carry another identity.
//!
//! | at | bytes | field |
//! | --- | --- | --- |
//! | 0 | 8 | magic `KVSJOURN` |
//! | 8 | 4 | format version, 2 |
//! | 12 | 4 | reserved, 0 |
//! | 16 | 8 | segment id, as in the file's name |
//! | 24 | 8 | segment tag |
//! | 32 | 28 | reserved, 0 |
//! | 60 | 4 | crc32c of the 60 bytes before |

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::frame::{FORMAT, Identity, Invalid, TAG_AT, parse};
use crate::disk::{CachedFile, DiskError, DiskFile};
use crate::journal::{GroupNumber, JournalError};
use crate::limits::JOURNAL_INDEX_STRIDE;
use crate::local::field::{u32_at, u64_at};

/// Offset of the first group: after the header, in a sector of its own.
pub(super) const GROUPS_AT: u64 = 512;

const MAGIC: &[u8; 8] = b"KVSJOURN";
const FIELDS: usize = 64;

/// Returns the file name of a segment.
pub(super) fn file_name(id: u64) -> String {
    format!("{id:016}")
}

/// Parses the name of a segment file; `None` for any other name.
pub(super) fn parse_file_name(name: &str) -> Option<u64> {
    let id = name.parse().ok()?;
    (file_name(id) == name).then_some(id)
}

/// Encodes the header of a segment.
pub(super) fn encode_header(identity: Identity) -> [u8; FIELDS] {
    let fields = MAGIC
        .iter()
        .copied()
        .chain(u32::from(FORMAT).to_le_bytes())
        .chain([0; 4])
        .chain(identity.id.to_le_bytes())
        .chain(identity.tag.to_le_bytes());
    let mut header = [0; FIELDS];
    for (to, from) in header.iter_mut().zip(fields) {
        *to = from;
    }
    if let Some((covered, checksum)) = header.split_last_chunk_mut::<4>() {
        *checksum = crc32c::crc32c(covered).to_le_bytes();
    }
    header
}

fn decode_header(bytes: &[u8], id: u64) -> Result<Identity, &'static str> {
    let header = bytes
        .first_chunk::<FIELDS>()
        .ok_or("the segment is cut short")?;
    let (covered, checksum) = header
        .split_last_chunk::<4>()
        .ok_or("the segment is cut short")?;
    if !covered.starts_with(MAGIC) {
        return Err("the file does not begin as a segment does");
    }
    if *checksum != crc32c::crc32c(covered).to_le_bytes() {
        return Err("the checksum of the segment's header is wrong");
    }
    if u32_at(covered, 8) != Some(u32::from(FORMAT)) {
        return Err("the segment's format version is not known to this program");
    }
    if u64_at(covered, 16) != Some(id) {
        return Err("the segment's header says another id than its name");
    }
    u64_at(covered, 24)
        .map(|tag| Identity { id, tag })
        .ok_or("the segment is cut short")
}

/// Statistics of a segment, the unit of trimming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentInfo {
    /// Ids are consecutive.
    pub(super) id: u64,
    /// The first group; in an empty segment, the number that the first group will have.
    pub(super) first: GroupNumber,
    /// The last group; `first - 1` if the segment is empty.
    pub(super) last: GroupNumber,
    /// Size on disk in bytes, including preallocated space.
    pub(super) bytes: u64,
}

/// An open segment file.
#[derive(Clone)]
pub(super) struct SegmentFile {
    pub(super) identity: Identity,
    pub(super) path: PathBuf,
    pub(super) file: Arc<CachedFile>,
    /// Size of the file in bytes.
    pub(super) capacity: u64,
}

impl SegmentFile {
    /// Reads and verifies the header of segment `id`.
    pub(super) fn open(path: PathBuf, file: CachedFile, id: u64) -> Result<Self, JournalError> {
        let mut header = [0; FIELDS];
        let read = file
            .read_at(&mut header, 0)
            .map_err(DiskError::at(&path, "read"))?;
        let capacity = file.len().map_err(DiskError::at(&path, "measure"))?;
        let segment = Self {
            identity: Identity { id, tag: 0 },
            path,
            file: Arc::new(file),
            capacity,
        };
        let what = match decode_header(header.get(..read).unwrap_or_default(), id) {
            Ok(identity) => {
                return Ok(Self {
                    identity,
                    ..segment
                });
            }
            Err(what) => what,
        };
        let damaged = segment.corrupt(0, what);
        let start = segment.read(GROUPS_AT, TAG_AT + 8)?;
        let tag = u64_at(&start, TAG_AT).unwrap_or_default();
        let found = Self {
            identity: Identity { id, tag },
            ..segment
        };
        if parse(&found.read_group(GROUPS_AT)?, found.identity).is_err() {
            return Err(damaged);
        }
        tracing::warn!("{damaged}; its first group is whole and is relied on instead");
        Ok(found)
    }

    /// Reads `at..at + len`, or less at the end of the file.
    pub(super) fn read(&self, at: u64, len: usize) -> Result<Vec<u8>, JournalError> {
        let mut bytes = Vec::new();
        let read = self.read_into(&mut bytes, at, len)?.len();
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Like [`read`](Self::read), but into a buffer that grows as needed.
    pub(super) fn read_into<'a>(
        &self,
        buffer: &'a mut Vec<u8>,
        at: u64,
        len: usize,
    ) -> Result<&'a [u8], JournalError> {
        if buffer.is_empty() {
            // Zeroed by the allocator, often at no cost.
            *buffer = vec![0; len];
        } else if buffer.len() < len {
            buffer.resize(len, 0);
        }
        let bytes = buffer.get_mut(..len).unwrap_or_default();
        let read = self.file.read_at(bytes, at);
        let read = read.map_err(|error| self.failed("read", error))?;
        Ok(bytes.get(..read).unwrap_or_default())
    }

    /// Reads the whole file after the header.
    pub(super) fn read_groups(&self) -> Result<Vec<u8>, JournalError> {
        self.read(GROUPS_AT, to_len(self.capacity.saturating_sub(GROUPS_AT)))
    }

    /// Reads the bytes of the group at `at`, completely if it is intact.
    pub(super) fn read_group(&self, at: u64) -> Result<Vec<u8>, JournalError> {
        let bytes = self.read(at, to_len(JOURNAL_INDEX_STRIDE))?;
        match parse(&bytes, self.identity) {
            Err(Invalid::Short(len)) if at + len as u64 <= self.capacity => self.read(at, len),
            _ => Ok(bytes),
        }
    }

    pub(super) fn failed(&self, action: &'static str, error: io::Error) -> JournalError {
        JournalError::from_failure(DiskError::new(&self.path, action, error).into())
    }

    pub(super) fn corrupt(&self, offset: u64, what: impl Into<String>) -> JournalError {
        JournalError::Corrupt {
            segment: self.path.display().to_string(),
            offset,
            what: what.into(),
        }
    }
}

/// Converts a length for use in memory; one too large for memory saturates.
pub(super) fn to_len(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
