//! A pack in use: opening it and reading its objects.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use kvs_tree::Blobref;

use super::format::{
    ENTRY, Entry, FOOTER, Footer, HEADER, RECORD, check_header, decode_index, decode_record,
};
use super::index::Place;
use crate::blobs::{PackId, StoreError};
use crate::disk::{CachedFile, DiskError, DiskFile, FileCache};

/// Returns the file name of a pack.
pub(super) fn file_name(id: PackId) -> String {
    format!("{id}.pack")
}

/// Parses the name of a pack file; `None` for any other name.
pub(super) fn parse_file_name(name: &str) -> Option<PackId> {
    let id = PackId(name.strip_suffix(".pack")?.parse().ok()?);
    (file_name(id) == name).then_some(id)
}

/// A pack in use.
#[derive(Debug)]
pub(super) struct PackFile {
    pub(super) id: PackId,
    pub(super) path: PathBuf,
    pub(super) file: CachedFile,
    pub(super) objects: u64,
    pub(super) bytes: u64,
}

/// The result of reading an object at a location.
pub(super) enum Read {
    /// The requested object.
    Found(Bytes),
    /// An intact object whose digest has the same prefix.
    Other,
    /// Neither of the two.
    Damaged(&'static str),
}

impl PackFile {
    /// Opens a pack and reads its index.
    pub(super) fn open(
        files: &FileCache,
        path: &Path,
        id: PackId,
    ) -> Result<(Self, Vec<Entry>), StoreError> {
        let file = files.file(path.to_path_buf());
        let bytes = file.len().map_err(|error| {
            let error = DiskError::new(path, "open", error);
            if error.is_not_found() {
                StoreError::MissingPack {
                    pack: id,
                    place: path.display().to_string(),
                }
            } else {
                error.into()
            }
        })?;
        let mut pack = Self {
            id,
            path: path.to_path_buf(),
            file,
            objects: 0,
            bytes,
        };
        let corrupt = |what: &str| StoreError::CorruptPack {
            pack: id,
            place: path.display().to_string(),
            what: what.to_owned(),
        };
        check_header(&pack.read(0, HEADER)?, id).map_err(corrupt)?;
        let footer_at = bytes
            .checked_sub(FOOTER as u64)
            .ok_or_else(|| corrupt("it is too short"))?;
        let footer = Footer::decode(&pack.read(footer_at, FOOTER)?, id, bytes).map_err(corrupt)?;
        let index_len = usize::try_from(footer_at - footer.index_at).unwrap_or(usize::MAX);
        let index = pack.read(footer.index_at, index_len)?;
        if index.len() != index_len || crc32c::crc32c(&index) != footer.index_checksum {
            return Err(corrupt("the checksum of the index is wrong"));
        }
        let mut entries = Vec::with_capacity(index_len / ENTRY);
        for entry in decode_index(&index, footer.index_at) {
            entries.push(entry.ok_or_else(|| corrupt("its index is inconsistent"))?);
        }
        pack.objects = footer.objects;
        Ok((pack, entries))
    }

    /// Reads `len` bytes at `at`, or fewer at the end of the file.
    fn read(&self, at: u64, len: usize) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; len];
        let read = self
            .file
            .read_at(&mut bytes, at)
            .map_err(DiskError::at(&self.path, "read"))?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Reads the object expected at `place`. Cost: one read and one hash.
    pub(super) fn read_object(&self, place: Place, wanted: &Blobref) -> Result<Read, StoreError> {
        let record = Bytes::from(self.read(place.offset, place.len())?);
        if record.len() < place.len() {
            return Ok(Read::Damaged("the file is cut short"));
        }
        Ok(verify(&record, wanted))
    }

    /// Reads the objects at these locations, in ascending order of offset, with one read.
    pub(super) fn read_objects(
        &self,
        wanted: &[(Place, Blobref)],
    ) -> Result<Vec<Read>, StoreError> {
        let (Some((first, _)), Some((last, _))) = (wanted.first(), wanted.last()) else {
            return Ok(Vec::new());
        };
        let len = last.end().saturating_sub(first.offset);
        let bytes = self.read(first.offset, usize::try_from(len).unwrap_or(usize::MAX))?;
        let objects = wanted.iter().map(|(place, blobref)| {
            let at = usize::try_from(place.offset - first.offset).unwrap_or(usize::MAX);
            let record = bytes.get(at..).and_then(|rest| rest.get(..place.len()));
            match record {
                // Copied, so that keeping an object does not keep the whole buffer.
                Some(record) => verify(&Bytes::copy_from_slice(record), blobref),
                None => Read::Damaged("the file is cut short"),
            }
        });
        Ok(objects.collect())
    }

    /// Returns whether the record at `place` names the object. Cost: one small read.
    pub(super) fn names(&self, place: Place, wanted: &Blobref) -> bool {
        let record = self.read(place.offset, RECORD).ok();
        let named = record.and_then(|record| decode_record(&record));
        named == Some((*wanted, place.length))
    }
}

/// Extracts the object from a complete record if it is the requested one.
fn verify(record: &Bytes, wanted: &Blobref) -> Read {
    let object = record.slice(RECORD..);
    if Blobref::of(wanted.algorithm(), &object) == *wanted {
        return Read::Found(object);
    }
    // It is another object only if it matches the digest in its own record.
    match decode_record(record) {
        Some((other, _))
            if other != *wanted && Blobref::of(other.algorithm(), &object) == other =>
        {
            Read::Other
        }
        _ => Read::Damaged("its bytes do not have this hash"),
    }
}
