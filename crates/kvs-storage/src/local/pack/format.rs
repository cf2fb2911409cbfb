//! The encoding of a pack: header, objects, index and footer. All integers are little-endian.
//!
//! Header, 32 bytes: magic `KVSPACK\0` (8), format version 1 (4), reserved 0 (4), pack id (8),
//! reserved 0 (4), crc32c of the 28 bytes before (4).
//!
//! Object: length (4), algorithm (1: blake3 = 1, sha1 = 2), reserved 0 (3), digest (32, padded with
//! zeros), then its bytes.
//!
//! Index, sorted by algorithm and digest, 48 bytes an object: length (4), algorithm (1), reserved 0
//! (3), digest (32), offset of the object's record (8).
//!
//! Footer, 64 bytes: magic `KVSPFOOT` (8), format version 1 (4), reserved 0 (4), pack id (8),
//! offset of the index (8), number of objects (8), crc32c of all before the index (4), crc32c of
//! the index (4), reserved 0 (12), crc32c of the 60 bytes before (4).

use kvs_tree::{Blobref, HashAlgorithm};

use crate::blobs::PackId;
use crate::local::field::{u32_at, u64_at};

/// Version of the pack format.
const PACK_FORMAT: u32 = 1;

pub(super) const HEADER: usize = 32;
/// Size of the fields before an object, in bytes.
pub(super) const RECORD: usize = 40;
pub(super) const ENTRY: usize = 48;
pub(super) const FOOTER: usize = 64;

const MAGIC: &[u8; 8] = b"KVSPACK\0";
const FOOTER_MAGIC: &[u8; 8] = b"KVSPFOOT";

fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Returns whether the last four bytes are the checksum of the preceding ones.
fn checks(bytes: &[u8]) -> bool {
    let split = bytes.split_last_chunk::<4>();
    split.is_some_and(|(covered, checksum)| *checksum == crc32c::crc32c(covered).to_le_bytes())
}

pub(super) fn encode_header(id: PackId) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&PACK_FORMAT.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&u64::from(id.0).to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    with_checksum(bytes)
}

pub(super) fn check_header(bytes: &[u8], id: PackId) -> Result<(), &'static str> {
    if !bytes.starts_with(MAGIC) {
        return Err("the file does not begin as a pack does");
    }
    if !checks(bytes) {
        return Err("the checksum of the header is wrong");
    }
    if u32_at(bytes, 8) != Some(PACK_FORMAT) {
        return Err("its format version is not known to this program");
    }
    if u64_at(bytes, 16) != Some(u64::from(id.0)) {
        return Err("its header says another id than its name");
    }
    Ok(())
}

/// Encodes the fields before an object.
pub(super) fn encode_record(out: &mut Vec<u8>, blobref: &Blobref, length: u32) {
    out.extend_from_slice(&length.to_le_bytes());
    out.push(match blobref.algorithm() {
        HashAlgorithm::Blake3 => 1,
        HashAlgorithm::Sha1 => 2,
    });
    out.extend_from_slice(&[0; 3]);
    let mut digest = [0; 32];
    for (to, from) in digest.iter_mut().zip(blobref.digest()) {
        *to = *from;
    }
    out.extend_from_slice(&digest);
}

/// Decodes blobref and length from the start of a record or an index entry.
pub(super) fn decode_record(bytes: &[u8]) -> Option<(Blobref, u32)> {
    let algorithm = match bytes.get(4)? {
        1 => HashAlgorithm::Blake3,
        2 => HashAlgorithm::Sha1,
        _ => return None,
    };
    let digest = bytes.get(8..8 + algorithm.digest_len())?;
    Some((Blobref::from_digest(algorithm, digest)?, u32_at(bytes, 0)?))
}

/// An entry of a pack's index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) blobref: Blobref,
    pub(super) length: u32,
    pub(super) offset: u64,
}

pub(super) fn encode_index(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY);
    for entry in entries {
        encode_record(&mut bytes, &entry.blobref, entry.length);
        bytes.extend_from_slice(&entry.offset.to_le_bytes());
    }
    bytes
}

/// Decodes the entries of an index; yields `None` for an invalid entry or one that extends beyond
/// `objects_end`.
pub(super) fn decode_index(
    bytes: &[u8],
    objects_end: u64,
) -> impl Iterator<Item = Option<Entry>> + '_ {
    bytes.chunks(ENTRY).map(move |bytes| {
        let (blobref, length) = decode_record(bytes)?;
        let offset = u64_at(bytes, RECORD)?;
        let end = offset.checked_add(RECORD as u64 + u64::from(length))?;
        (end <= objects_end).then_some(Entry {
            blobref,
            length,
            offset,
        })
    })
}

/// Location of the index, and the checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) id: PackId,
    pub(super) index_at: u64,
    pub(super) objects: u64,
    pub(super) objects_checksum: u32,
    pub(super) index_checksum: u32,
}

impl Footer {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FOOTER);
        bytes.extend_from_slice(FOOTER_MAGIC);
        bytes.extend_from_slice(&PACK_FORMAT.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&u64::from(self.id.0).to_le_bytes());
        bytes.extend_from_slice(&self.index_at.to_le_bytes());
        bytes.extend_from_slice(&self.objects.to_le_bytes());
        bytes.extend_from_slice(&self.objects_checksum.to_le_bytes());
        bytes.extend_from_slice(&self.index_checksum.to_le_bytes());
        bytes.extend_from_slice(&[0; 12]);
        with_checksum(bytes)
    }

    /// Decodes the footer of pack `id`, whose file has `file_len` bytes.
    pub(super) fn decode(bytes: &[u8], id: PackId, file_len: u64) -> Result<Self, &'static str> {
        const CUT: &str = "its end is missing";
        if !bytes.starts_with(FOOTER_MAGIC) {
            return Err(CUT);
        }
        if !checks(bytes) {
            return Err("the checksum of the footer is wrong");
        }
        if u32_at(bytes, 8) != Some(PACK_FORMAT) {
            return Err("its format version is not known to this program");
        }
        if u64_at(bytes, 16) != Some(u64::from(id.0)) {
            return Err("its footer says another id than its name");
        }
        let footer = Self {
            id,
            index_at: u64_at(bytes, 24).ok_or(CUT)?,
            objects: u64_at(bytes, 32).ok_or(CUT)?,
            objects_checksum: u32_at(bytes, 40).ok_or(CUT)?,
            index_checksum: u32_at(bytes, 44).ok_or(CUT)?,
        };
        let index_len = footer.objects.checked_mul(ENTRY as u64);
        let end = index_len.and_then(|len| footer.index_at.checked_add(len));
        if end.and_then(|end| end.checked_add(FOOTER as u64)) != Some(file_len) {
            return Err("its length is wrong");
        }
        Ok(footer)
    }
}
