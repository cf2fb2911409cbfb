//! All limits of the pure core, in one place. Those that are marked as part of the format determine
//! where objects are split, and so their names: changing one changes hashes.

/// Maximum length of a name (one component of a key), in bytes.
pub(crate) const NAME_BYTES: usize = 255;
/// Maximum number of names in a key.
pub(crate) const KEY_NAMES: usize = 64;
/// Maximum length of a key, in bytes.
pub const KEY_BYTES: usize = 4096;
/// Maximum number of `**`, and of `*` within a name, in one pattern (16). At each of them matching
/// has to try every length; a lone `*` as a name does not count.
pub(crate) const PATTERN_LOOPS: usize = 16;
/// Maximum number of symbolic links followed by one lookup.
pub const LINK_DEPTH: usize = 10;
/// Maximum length of a value stored inline in its directory's leaf, in bytes. Part of the format.
pub(crate) const INLINE_BYTES: usize = 128;
/// Maximum length of a value, in bytes (1 TiB).
pub const VALUE_BYTES: u64 = 1 << 40;
/// Maximum number of operations in one transaction.
pub const TRANSACTION_OPERATIONS: usize = 10_000;
/// Maximum number of names that one transaction visits: those of its keys, with links resolved, and
/// of each link on the way (65,536). A transaction is applied in one piece: 10,000 keys of six
/// names fit.
pub(crate) const TRANSACTION_VISITS: usize = 65_536;
/// Maximum number of entries below one root, including directories; copies count again.
pub const ENTRIES: u64 = 1 << 40;
/// Maximum number of logical bytes (lengths of all values; copies count again) below one root.
pub(crate) const LOGICAL_BYTES: u64 = 1 << 50;
/// Maximum number of directory levels below one root, counting the root.
pub(crate) const DEPTH: u32 = 64;
/// Maximum number of entries of a directory that is one flat node, whatever its names. Part of the
/// format.
pub(crate) const FLAT_MAX: usize = 64;
/// Maximum number of entries in a leaf of a split directory. Part of the format.
pub(crate) const LEAF_MAX: usize = 64;
/// Maximum number of children of an inner node of a split directory. Part of the format.
pub(crate) const INNER_MAX: usize = 64;
/// Leading zero bits of a name's keyed hash per level; nodes of large directories have 2^4 children
/// on average. Part of the format. (Measured at a million entries: with 5 bits a put rehashes 50%
/// more bytes; with 3 bits it is hardly cheaper, and paths are longer.)
pub(crate) const LEVEL_BITS: u32 = 4;
/// The height from which oversized runs are halved by position, since no name has a level that
/// high. Part of the format. It bounds the height of any directory, even if its names were chosen
/// with knowledge of the split key.
pub(crate) const HASHED_HEIGHTS: u8 = (u64::BITS / LEVEL_BITS) as u8;
/// Maximum height of a node accepted when a directory is decoded: above [`HASHED_HEIGHTS`] a node
/// has at least 32 children.
pub(crate) const HEIGHT_MAX: u8 = HASHED_HEIGHTS + 8;
/// Maximum number of children of a node of a chunk tree. Part of the format.
pub(crate) const CHUNK_FAN_OUT: usize = 128;
/// Chunk length below [`SMALL_CHUNKS_END`], in bytes; also the maximum length of a value stored as
/// one blob. Part of the format.
pub(crate) const SMALL_CHUNK: u64 = 4 << 10;
/// Offset where chunks of [`SMALL_CHUNK`] end, in bytes. Part of the format.
pub(crate) const SMALL_CHUNKS_END: u64 = 64 << 10;
/// Chunk length between [`SMALL_CHUNKS_END`] and [`MIDDLE_CHUNKS_END`], in bytes. Part of the
/// format.
pub(crate) const MIDDLE_CHUNK: u64 = 16 << 10;
/// Offset where chunks of [`MIDDLE_CHUNK`] end, in bytes. Part of the format.
pub(crate) const MIDDLE_CHUNKS_END: u64 = 1 << 20;
/// Chunk length beyond [`MIDDLE_CHUNKS_END`], in bytes; also the maximum length of a blob. Part of
/// the format.
pub(crate) const LARGE_CHUNK: u64 = 64 << 10;
/// Maximum number of missing objects that one step reports; if it needs more, it reports them when
/// called again.
pub(crate) const MISSING_REPORTED: usize = 256;
/// Entries that a walk reads ahead in each directory that it is in.
pub const PAGE_ENTRIES: usize = 128;
/// Maximum length of a value assembled from a client's `valref`, in bytes (64 MiB): it is held in
/// memory.
pub(crate) const VALREF_BYTES: u64 = 64 << 20;
