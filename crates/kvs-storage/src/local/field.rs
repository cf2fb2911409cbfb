//! Little-endian integer fields of the formats on disk, read without panics.

/// The bytes at `at`, as an array.
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

/// The u32 at byte `at`, if there are so many bytes.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

/// The u64 at byte `at`, if there are so many bytes.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array_at(bytes, at).map(u64::from_le_bytes)
}

/// The 32 bytes (a digest) at byte `at`, if there are so many bytes.
pub(crate) fn digest_at(bytes: &[u8], at: usize) -> Option<[u8; 32]> {
    array_at(bytes, at)
}
