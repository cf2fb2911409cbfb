//! Every limit of this crate in one place, so that nothing grows without a bound that somebody chose.
//!
//! A limit is a `pub const` with its unit and its reason; `docs/LIMITS.md` lists them all.

/// Bytes of a journal segment when nothing else is configured (16 MiB): large enough that a segment
/// lasts for seconds at full speed, small enough that retention by whole segments stays fine.
pub const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// Smallest segment size that is accepted, in bytes (8 KiB); tests use it to roll over often.
pub const SEGMENT_BYTES_MIN: u64 = 8 * 1024;

/// Largest payload of one journal group, in bytes (1 GiB): what the u32 length field holds with room
/// to spare, and what one write call takes.
pub const GROUP_BYTES: usize = 1024 * 1024 * 1024;

/// Trimmed segment files kept for reuse. More are deleted: a burst of trimming must give space back.
pub const RECYCLED_SEGMENTS: usize = 2;

/// Bytes of journal between two entries of the in-memory offset index of a segment (4 KiB): a read
/// that starts at any group skips at most this much.
pub const JOURNAL_INDEX_STRIDE: u64 = 4 * 1024;

/// Largest object in a pack, in bytes (1 GiB): what its u32 length field holds with room to spare.
pub const OBJECT_BYTES: usize = 1024 * 1024 * 1024;

/// Bytes that the writer of a pack collects before it writes (1 MiB).
pub const PACK_BUFFER_BYTES: usize = 1024 * 1024;

/// Largest manifest, in bytes (1 GiB). A longer length field is damage, not a size to allocate.
pub const MANIFEST_BYTES: usize = 1024 * 1024 * 1024;
