//! Panic-free access to little-endian integer fields of on-disk formats.

/// Returns `N` bytes at `at` as an array.
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

/// Returns the u32 at byte `at`, or `None` if the input is too short.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

/// Returns the u64 at byte `at`, or `None` if the input is too short.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array_at(bytes, at).map(u64::from_le_bytes)
}

/// Returns the 32 bytes (a digest) at byte `at`, or `None` if the input is too short.
pub(crate) fn digest_at(bytes: &[u8], at: usize) -> Option<[u8; 32]> {
    array_at(bytes, at)
}
