//! Chunk boundaries of values. They depend only on offsets, with small chunks first. So equal bytes
//! have equal chunks, and an append changes no chunk but the last.

use crate::limits::{LARGE_CHUNK, MIDDLE_CHUNK, MIDDLE_CHUNKS_END, SMALL_CHUNK, SMALL_CHUNKS_END};

/// Start and end, in bytes, of the chunk that contains `offset`.
pub(super) fn chunk_at(offset: u64) -> std::ops::Range<u64> {
    let size = if offset < SMALL_CHUNKS_END {
        SMALL_CHUNK
    } else if offset < MIDDLE_CHUNKS_END {
        MIDDLE_CHUNK
    } else {
        LARGE_CHUNK
    };
    let start = offset - offset % size;
    start..start + size
}

/// Index, from 0, of the chunk that contains `offset`.
pub(super) fn chunk_index(offset: u64) -> u64 {
    const SMALL: u64 = SMALL_CHUNKS_END / SMALL_CHUNK;
    const MIDDLE: u64 = (MIDDLE_CHUNKS_END - SMALL_CHUNKS_END) / MIDDLE_CHUNK;
    if offset < SMALL_CHUNKS_END {
        offset / SMALL_CHUNK
    } else if offset < MIDDLE_CHUNKS_END {
        SMALL + (offset - SMALL_CHUNKS_END) / MIDDLE_CHUNK
    } else {
        SMALL + MIDDLE + (offset - MIDDLE_CHUNKS_END) / LARGE_CHUNK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_follow_each_other_and_are_counted() {
        let mut offset = 0;
        for index in 0..1000 {
            assert_eq!(chunk_index(offset), index);
            let chunk = chunk_at(offset);
            assert_eq!(chunk.start, offset);
            assert_eq!(chunk_at(chunk.end - 1), chunk);
            assert_eq!(chunk_index(chunk.end - 1), index);
            offset = chunk.end;
        }
    }
}
