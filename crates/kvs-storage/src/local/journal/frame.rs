//! The encoding of a group: a header of 88 bytes, the payload, and zero padding to a multiple of 8.
//!
//! | at | bytes | field |
//! | --- | --- | --- |
//! | 0 | 4 | magic `KVSG` |
//! | 4 | 2 | format version, 2 |
//! | 6 | 2 | reserved, 0 |
//! | 8 | 8 | segment id |
//! | 16 | 8 | segment tag: random, so that no payload can pass for a group of its segment |
//! | 24 | 8 | group number |
//! | 32 | 8 | the newest group that was durable when this one was written |
//! | 40 | 8 | number of the epoch in which it was written |
//! | 48 | 4 | payload length |
//! | 52 | 4 | crc32c of bytes 0..52, 56..88 and the payload |
//! | 56 | 32 | blake3 of the previous group (header and payload), zeros at the start of a journal |

use std::ops::RangeInclusive;

use crate::journal::GroupNumber;
use crate::limits::GROUP_BYTES;
use crate::local::field::{digest_at, u32_at, u64_at};

/// Version of the group and segment formats.
pub(super) const FORMAT: u16 = 2;

/// Size of a group header in bytes.
pub(super) const HEADER: usize = 88;

const MAGIC: [u8; 4] = *b"KVSG";
const ALIGN: usize = 8;
/// Where the tag of the segment is in a group.
pub(super) const TAG_AT: usize = 16;
const CHECKSUM_AT: usize = 52;
const PREVIOUS_AT: usize = 56;

/// BLAKE3 hash of a group.
pub(super) type GroupHash = [u8; 32];

/// Identifies a segment in its groups. Ids are consecutive; the tag is new for each use of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: u64,
    pub(super) tag: u64,
}

/// A group read from disk, with its checksum verified.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) number: GroupNumber,
    pub(super) durable: GroupNumber,
    pub(super) epoch: u64,
    pub(super) previous: GroupHash,
    pub(super) payload: &'a [u8],
    /// Header and payload, the input of the hash.
    covered: &'a [u8],
}

/// Why no group can be read at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Invalid {
    /// The bytes do not begin a group of this segment.
    Absent,
    /// The group has this many bytes, more than were given.
    Short(usize),
    /// A checksum or a field is wrong.
    Damaged(&'static str),
}

impl Invalid {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Absent => "no group begins here",
            Self::Short(_) => "the group reaches past the end",
            Self::Damaged(reason) => reason,
        }
    }
}

impl Frame<'_> {
    pub(super) fn hash(&self) -> GroupHash {
        *blake3::hash(self.covered).as_bytes()
    }

    /// Returns the size on disk in bytes.
    pub(super) fn len(&self) -> usize {
        frame_len(self.payload.len())
    }
}

/// Returns the size on disk of a group with `payload` bytes of payload.
pub(super) fn frame_len(payload: usize) -> usize {
    (HEADER + payload).next_multiple_of(ALIGN)
}

/// The input of [`encode`].
#[derive(Debug, Clone, Copy)]
pub(super) struct NewFrame<'a> {
    pub(super) identity: Identity,
    pub(super) number: GroupNumber,
    pub(super) durable: GroupNumber,
    pub(super) epoch: u64,
    pub(super) previous: &'a GroupHash,
    pub(super) payload: &'a [u8],
}

/// Encodes a group into `out`, replacing its content, and returns the group's hash. The payload
/// must not exceed its limit.
pub(super) fn encode(out: &mut Vec<u8>, frame: NewFrame<'_>) -> GroupHash {
    out.clear();
    out.reserve(frame_len(frame.payload.len()));
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&frame.identity.id.to_le_bytes());
    out.extend_from_slice(&frame.identity.tag.to_le_bytes());
    out.extend_from_slice(&frame.number.to_le_bytes());
    out.extend_from_slice(&frame.durable.to_le_bytes());
    out.extend_from_slice(&frame.epoch.to_le_bytes());
    out.extend_from_slice(
        &u32::try_from(frame.payload.len())
            .unwrap_or(u32::MAX)
            .to_le_bytes(),
    );
    let checksum = crc32c::crc32c(out);
    let checksum = crc32c::crc32c_append(checksum, frame.previous);
    let checksum = crc32c::crc32c_append(checksum, frame.payload);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(frame.previous);
    out.extend_from_slice(frame.payload);
    let hash = *blake3::hash(out).as_bytes();
    out.resize(frame_len(frame.payload.len()), 0);
    hash
}

/// Parses the group of this segment at the start of `bytes`.
pub(super) fn parse(bytes: &[u8], identity: Identity) -> Result<Frame<'_>, Invalid> {
    let magic = bytes.get(..MAGIC.len()).unwrap_or(bytes);
    if magic.is_empty() || !MAGIC.starts_with(magic) {
        return Err(Invalid::Absent);
    }
    let short = Invalid::Short(HEADER);
    let covered = bytes.get(..CHECKSUM_AT).ok_or(short)?;
    let previous = digest_at(bytes, PREVIOUS_AT).ok_or(short)?;
    if u64_at(covered, 8) != Some(identity.id) || u64_at(covered, TAG_AT) != Some(identity.tag) {
        return Err(Invalid::Absent);
    }
    let number = u64_at(covered, 24).ok_or(short)?;
    let durable = u64_at(covered, 32).ok_or(short)?;
    let epoch = u64_at(covered, 40).ok_or(short)?;
    let length = u32_at(covered, 48)
        .and_then(|length| usize::try_from(length).ok())
        .ok_or(short)?;
    if length > GROUP_BYTES {
        return Err(Invalid::Damaged("the length of the group is impossible"));
    }
    let payload = bytes
        .get(HEADER..HEADER + length)
        .filter(|_| bytes.len() >= frame_len(length))
        .ok_or(Invalid::Short(frame_len(length)))?;
    let checksum = crc32c::crc32c(covered);
    let checksum = crc32c::crc32c_append(checksum, &previous);
    let checksum = crc32c::crc32c_append(checksum, payload);
    if u32_at(bytes, CHECKSUM_AT) != Some(checksum) {
        return Err(Invalid::Damaged("the checksum of the group is wrong"));
    }
    if covered.get(4..6) != Some(&FORMAT.to_le_bytes()[..]) {
        return Err(Invalid::Damaged(
            "the group's format version is not known to this program",
        ));
    }
    let covered = bytes.get(..HEADER + length).unwrap_or_default();
    Ok(Frame {
        number,
        durable,
        epoch,
        previous,
        payload,
        covered,
    })
}

/// Searches for proof that the missing group at `from` was durable: a later group, returned as
/// offset and number. Used where the journal seems to end. `expected` is the number of the missing
/// group. If it is not known, a group proves that its predecessor was durable, and thus the whole
/// previous segment.
pub(super) fn find_proof(
    bytes: &[u8],
    from: usize,
    identity: Identity,
    expected: Option<GroupNumber>,
) -> Option<(usize, GroupNumber)> {
    let start = from.next_multiple_of(ALIGN);
    let places = bytes.get(start..)?.chunks(ALIGN).enumerate();
    places
        .filter(|(_, chunk)| chunk.starts_with(&MAGIC))
        .find_map(|(place, _)| {
            let at = start + place * ALIGN;
            let frame = parse(bytes.get(at..)?, identity).ok()?;
            let proves = match expected {
                Some(expected) => frame.number > expected && frame.durable >= expected,
                None => at > from && frame.durable + 1 >= frame.number,
            };
            proves.then_some((at, frame.number))
        })
}

/// Finds the first intact group from `from` on whose number is in `numbers`; returns its offset and
/// number. This way a damaged group costs no other group.
pub(super) fn find_next(
    bytes: &[u8],
    from: usize,
    identity: Identity,
    numbers: RangeInclusive<GroupNumber>,
) -> Option<(usize, GroupNumber)> {
    let start = from.next_multiple_of(ALIGN);
    let places = bytes.get(start..)?.chunks(ALIGN).enumerate();
    places
        .filter(|(_, chunk)| chunk.starts_with(&MAGIC))
        .find_map(|(place, _)| {
            let at = start + place * ALIGN;
            let frame = parse(bytes.get(at..)?, identity).ok()?;
            numbers
                .contains(&frame.number)
                .then_some((at, frame.number))
        })
}

/// Whether there is a whole group of a segment of which only the id is known.
pub(super) fn find_any(bytes: &[u8], id: u64) -> bool {
    let mut places = bytes.chunks(ALIGN).enumerate();
    places.any(|(place, chunk)| {
        let at = place * ALIGN;
        let tag = bytes.get(at..).and_then(|rest| u64_at(rest, TAG_AT));
        let identity = tag.map(|tag| Identity { id, tag });
        chunk.starts_with(&MAGIC)
            && identity.is_some_and(|one| parse(bytes.get(at..).unwrap_or_default(), one).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity = Identity { id: 7, tag: 9 };

    fn group(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let previous = [3; 32];
        let new = NewFrame {
            identity: IDENTITY,
            number: 5,
            durable: 4,
            epoch: 3,
            previous: &previous,
            payload,
        };
        encode(&mut out, new);
        out
    }

    #[test]
    fn a_group_is_read_back_as_written() {
        for len in [0, 1, 8, 100] {
            let payload = vec![1; len];
            let bytes = group(&payload);
            let frame = parse(&bytes, IDENTITY).unwrap();
            assert_eq!(
                (frame.number, frame.durable, frame.epoch, frame.previous),
                (5, 4, 3, [3; 32])
            );
            assert_eq!((frame.payload, frame.len()), (&payload[..], bytes.len()));
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = group(b"payload.");
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&damaged, IDENTITY).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_group_of_another_use_of_the_file_is_absent() {
        let bytes = group(b"x");
        for other in [Identity { id: 8, tag: 9 }, Identity { id: 7, tag: 8 }] {
            assert_eq!(parse(&bytes, other).unwrap_err(), Invalid::Absent);
        }
    }

    #[test]
    fn a_cut_group_says_how_long_it_is() {
        let bytes = group(&[1; 100]);
        assert_eq!(
            parse(&bytes[..90], IDENTITY).unwrap_err(),
            Invalid::Short(bytes.len())
        );
        assert_eq!(
            parse(&bytes[..20], IDENTITY).unwrap_err(),
            Invalid::Short(HEADER)
        );
    }

    #[test]
    fn only_a_group_that_says_so_proves_that_another_was_durable() {
        let mut bytes = vec![0; 64];
        bytes.extend_from_slice(&group(b"x"));
        assert_eq!(find_proof(&bytes, 0, IDENTITY, Some(4)), Some((64, 5)));
        assert_eq!(find_proof(&bytes, 0, IDENTITY, None), Some((64, 5)));
        assert_eq!(find_proof(&bytes, 0, IDENTITY, Some(5)), None);
        assert_eq!(find_proof(&bytes, 72, IDENTITY, Some(4)), None);
    }
}
