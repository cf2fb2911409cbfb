//! stub
use super::api::{BlobStore, PackInfo, PackWriter};
use super::error::{PackId, StoreError};
use crate::env::Environment;
use bytes::Bytes;
use kvs_tree::Blobref;
use std::path::Path;

/// The packs of a store on disk.
#[derive(Debug)]
pub struct PackStore {}

impl PackStore {
    /// Opens the packs in `dir` (made if missing). All of `live` must be there and whole. Other whole
    /// packs are taken into use too, since a journal record may need them (a large value written after
    /// the last manifest); once the journal is replayed, call
    /// [`remove_unlisted`](Self::remove_unlisted). Unfinished packs are removed.
    ///
    /// # Errors
    /// [`StoreError::MissingPack`] and [`StoreError::CorruptPack`] for packs of `live`, disk errors.
    pub fn open(_env: &Environment, _dir: &Path, _live: &[PackId]) -> Result<Self, StoreError> {
        todo!()
    }

    /// Removes all packs but those in `keep`.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove_unlisted(&self, _keep: &[PackId]) -> Result<(), StoreError> {
        todo!()
    }

    /// Which pack an object is in.
    pub fn pack_of(&self, _blobref: &Blobref) -> Option<PackId> {
        todo!()
    }
}
impl BlobStore for PackStore {
    fn get(&self, _: &Blobref) -> Result<Option<Bytes>, StoreError> {
        todo!()
    }
    fn contains(&self, _: &Blobref) -> bool {
        todo!()
    }
    fn begin_pack(&self) -> Result<Box<dyn PackWriter>, StoreError> {
        todo!()
    }
    fn packs(&self) -> Vec<PackInfo> {
        todo!()
    }
    fn remove(&self, _: PackId) -> Result<(), StoreError> {
        todo!()
    }
}
