//! All limits of this crate. Nothing grows without an explicit bound.
//!
//! A limit is a `pub const` with its unit and its reason; `docs/LIMITS.md` lists them all.

/// Default size of a journal segment in bytes (16 MiB): large enough for seconds of writes at full
/// speed, small enough for fine-grained retention by whole segments.
pub const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// Minimum segment size in bytes (8 KiB); tests use it to roll over often.
pub const SEGMENT_BYTES_MIN: u64 = 8 * 1024;

/// Bytes of a new segment that are zeroed between syncs (256 KiB). A group's sync waits for earlier
/// writes to the disk, so this bounds the delay.
pub(crate) const SEGMENT_UNSYNCED_BYTES: u64 = 256 * 1024;

/// Maximum payload of a journal group in bytes (1 GiB): well within the u32 length field and what
/// one write call accepts.
pub(crate) const GROUP_BYTES: usize = 1024 * 1024 * 1024;

/// Trimmed segment files kept for reuse. Further ones are deleted, so that a burst of trimming
/// frees space.
pub(crate) const RECYCLED_SEGMENTS: usize = 2;

/// Default number of packs, and of journal segments, kept open for reading (256): a store may have
/// more files than a process may have open.
pub const OPEN_FILES: usize = 256;

/// Packs of the state kept open for reading (1): they are read only at opening and by checkpoints.
pub(crate) const STATE_OPEN_FILES: usize = 1;

/// Bytes of journal between two entries of a segment's in-memory offset index (4 KiB): a read that
/// starts at any group skips at most this much.
pub(crate) const JOURNAL_INDEX_STRIDE: u64 = 4 * 1024;

/// Maximum size of an object in a pack, in bytes (1 GiB): well within its u32 length field.
pub(crate) const OBJECT_BYTES: usize = 1024 * 1024 * 1024;

/// Write buffer of a pack writer, in bytes (1 MiB).
pub(crate) const PACK_BUFFER_BYTES: usize = 1024 * 1024;

/// Maximum size of one read of adjacent objects in a pack, in bytes (256 KiB).
pub(crate) const PACK_READ_BYTES: u64 = 256 * 1024;

/// Maximum gap between two objects of a pack that are read together, in bytes (4 KiB).
pub(crate) const PACK_READ_GAP: u64 = 4 * 1024;

/// Maximum payload of a root record, in bytes (1 GiB). A longer file is treated as damaged, so that
/// its size is not allocated.
pub(crate) const ROOT_BYTES: usize = 1024 * 1024 * 1024;

/// Maximum disk space reserved for objects that are accepted but not in a pack yet, in bytes (32
/// MiB): more than one group stages.
pub(crate) const STAGING_SPACE_BYTES: u64 = 32 * 1024 * 1024;

/// Step by which that reservation grows, in bytes (1 MiB).
pub(crate) const STAGING_SPACE_STEP: u64 = 1024 * 1024;

/// Bytes that a pack writer writes between syncs (32 MiB), so that its final sync is short and the
/// journal's syncs never wait long for it.
pub(crate) const PACK_UNSYNCED_BYTES: u64 = 32 * 1024 * 1024;

/// Milliseconds for which an owner relies on a check of its ownership (5), so that reads cost no
/// system call. A new owner waits twice as long if the previous owner may still live.
pub const TERM_MS: u64 = 5;

/// Files of each kind that one check of a store examines (64); the next check continues with the
/// following ones.
pub(crate) const LOOK_FILES: usize = 64;
