//! Every limit of this crate in one place, so that nothing grows without a bound that somebody
//! chose.
//!
//! A limit is a `pub const` with its unit and its reason; `docs/LIMITS.md` lists them all.

/// Bytes of a journal segment when nothing else is configured (16 MiB): large enough that a segment
/// lasts for seconds at full speed, small enough that retention by whole segments stays fine.
pub const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// Smallest segment size that is accepted, in bytes (8 KiB); tests use it to roll over often.
pub const SEGMENT_BYTES_MIN: u64 = 8 * 1024;

/// Bytes of a new segment that are zeroed before they are synced (256 KiB), so that the sync of a
/// group, which waits for what the disk was given before, is not held up for long.
pub(crate) const SEGMENT_UNSYNCED_BYTES: u64 = 256 * 1024;

/// Largest payload of one journal group, in bytes (1 GiB): what the u32 length field holds with
/// room to spare, and what one write call takes.
pub(crate) const GROUP_BYTES: usize = 1024 * 1024 * 1024;

/// Trimmed segment files kept for reuse. More are deleted: a burst of trimming must give space
/// back.
pub(crate) const RECYCLED_SEGMENTS: usize = 2;

/// Packs, and segments of the journal, that are each kept open for reading unless the configuration
/// says otherwise (256): a store may have more files than a process may have open.
pub const OPEN_FILES: usize = 256;

/// Packs of the state that are kept open for reading (1): what is in them is read once, at opening,
/// and by a checkpoint.
pub(crate) const STATE_OPEN_FILES: usize = 1;

/// Bytes of journal between two entries of the in-memory offset index of a segment (4 KiB): a read
/// that starts at any group skips at most this much.
pub(crate) const JOURNAL_INDEX_STRIDE: u64 = 4 * 1024;

/// Largest object in a pack, in bytes (1 GiB): what its u32 length field holds with room to spare.
pub(crate) const OBJECT_BYTES: usize = 1024 * 1024 * 1024;

/// Bytes that the writer of a pack collects before it writes (1 MiB).
pub(crate) const PACK_BUFFER_BYTES: usize = 1024 * 1024;

/// Bytes of a pack that are read at once where objects lie close behind one another (256 KiB).
pub(crate) const PACK_READ_BYTES: u64 = 256 * 1024;

/// Bytes between two objects of a pack that are read as well rather than read around (4 KiB).
pub(crate) const PACK_READ_GAP: u64 = 4 * 1024;

/// Largest payload of a root record, in bytes (1 GiB). A longer file is damage, not a size to
/// allocate.
pub(crate) const ROOT_BYTES: usize = 1024 * 1024 * 1024;

/// Bytes of disk that are set aside, at most, for objects that are accepted but not in a pack yet
/// (32 MiB): more than one group holds of them.
pub(crate) const STAGING_SPACE_BYTES: u64 = 32 * 1024 * 1024;

/// Bytes by which that space grows (1 MiB).
pub(crate) const STAGING_SPACE_STEP: u64 = 1024 * 1024;

/// Bytes that the writer of a pack leaves to the system before it has them synced (32 MiB), so that
/// the sync at the end is short and the journal's own never waits long behind it.
pub(crate) const PACK_UNSYNCED_BYTES: u64 = 32 * 1024 * 1024;

/// Milliseconds for which an owner relies on having seen that it owns its store (5): reads then
/// cost no system call. Whoever takes over from an owner that may live waits for twice as long.
pub const TERM_MS: u64 = 5;

/// Files of each kind that a look at a store makes sure of (64); the next look takes the next ones.
pub(crate) const LOOK_FILES: usize = 64;
