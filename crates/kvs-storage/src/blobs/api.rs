//! The blob store trait: immutable objects stored under their hashes, in packs.

use std::any::Any;
use std::fmt;

use bytes::Bytes;
use kvs_tree::Blobref;

use super::error::{PackId, StoreError};
use super::joined::Joined;
use super::staged::Staged;

/// Statistics of a pack in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackInfo {
    /// Id of the pack.
    pub id: PackId,
    /// Number of objects in the pack.
    pub objects: u64,
    /// Size on disk, in bytes.
    pub bytes: u64,
}

/// Guard that prevents deletion of the pinned objects until it is dropped.
#[must_use = "the objects may be deleted when this is dropped"]
pub struct BlobPin(
    #[allow(dead_code, reason = "it is kept for its drop")] Box<dyn Any + Send + Sync>,
);

impl BlobPin {
    /// Creates a pin that ends when `guard` is dropped.
    pub(crate) fn new(guard: impl Any + Send + Sync) -> Self {
        Self(Box::new(guard))
    }
}

impl fmt::Debug for BlobPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlobPin")
    }
}

/// Guard that reserves space for objects that will be joined, until it is dropped.
#[must_use = "the space is given up when this is dropped"]
pub struct SpaceClaim(
    #[allow(dead_code, reason = "it is kept for its drop")] Box<dyn Any + Send + Sync>,
);

impl SpaceClaim {
    /// Creates a claim that ends when `guard` is dropped.
    pub(crate) fn new(guard: impl Any + Send + Sync) -> Self {
        Self(Box::new(guard))
    }
}

impl fmt::Debug for SpaceClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpaceClaim")
    }
}

/// Objects stored under their hashes. An object never changes, so readers need no lock and no
/// version.
pub trait BlobStore: Send + Sync {
    /// Returns the object, verified against its hash, or `None` if the store does not contain it.
    /// Cost: one read.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the stored bytes do not match the hash, otherwise disk errors.
    fn get(&self, blobref: &Blobref) -> Result<Option<Bytes>, StoreError>;

    /// Returns several objects, each as by [`get`](Self::get). Objects that are adjacent on disk
    /// and requested in that order are read at once.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    fn get_many(&self, blobrefs: &[Blobref]) -> Result<Vec<Option<Bytes>>, StoreError> {
        blobrefs.iter().map(|blobref| self.get(blobref)).collect()
    }

    /// Returns a number that sorts objects in storage order. Cost: no read.
    fn locality_hint(&self, blobref: &Blobref) -> u64;

    /// Returns whether the store contains the object durably. Costs no I/O if it does not and one
    /// small read if it does. A disk error counts as "no": at worst the object is written twice.
    fn contains(&self, blobref: &Blobref) -> bool;

    /// Writes all objects that the store does not contain yet into one pack, synced once. On return
    /// they are durable and usable; `None` means that there was nothing new. After a restart the
    /// pack is kept only if it is [adopted](Self::adopt).
    ///
    /// # Errors
    /// The pack was abandoned and removed; the caller may try once more.
    fn write_pack(
        &self,
        objects: &mut dyn Iterator<Item = (Blobref, Bytes)>,
    ) -> Result<Option<PackId>, StoreError> {
        let mut pack = self.begin_pack()?;
        for (blobref, bytes) in objects {
            pack.add(&blobref, &bytes)?;
        }
        pack.finish()
    }

    /// Starts a pack to stream objects into, such as a large value before the record that names it.
    /// Any number of packs can be in progress.
    ///
    /// # Errors
    /// If the file cannot be created.
    fn begin_pack(&self) -> Result<Box<dyn PackWriter>, StoreError>;

    /// Writes the objects staged for the transactions of one group into packs. The packs are
    /// durable on return, but not in use before [`publish`](Self::publish).
    ///
    /// # Errors
    /// No pack is left behind. Objects staged in memory may be joined again.
    fn join(&self, staged: &[&Staged]) -> Result<Joined, StoreError>;

    /// Takes joined packs into use, after the group that registers them is written.
    fn publish(&self, joined: Joined);

    /// Returns the packs in use, sorted by id.
    fn packs(&self) -> Vec<PackInfo>;

    /// Takes the packs into use that the root record or a group names. Other intact packs may be in
    /// use as well until [`retain`](Self::retain).
    ///
    /// # Errors
    /// [`StoreError::MissingPack`] and [`StoreError::CorruptPack`]; nothing is deleted in that
    /// case.
    fn adopt(&self, packs: &[PackId]) -> Result<(), StoreError>;

    /// Deletes all packs except the given ones, which must be all packs named by either slot of the
    /// root record and by later groups. No pack may be in progress.
    ///
    /// # Errors
    /// If the medium fails; the other packs are out of use nevertheless.
    fn retain(&self, packs: &[PackId]) -> Result<(), StoreError>;

    /// Takes a pack out of use and deletes it. Unknown packs are ignored. The caller guarantees
    /// that no object that only this pack holds is needed, and that no slot of the root record
    /// names it.
    ///
    /// # Errors
    /// If the pack is pinned, [`StoreError::Pinned`], and nothing was changed. If the medium fails,
    /// the pack is out of use nevertheless.
    fn delete(&self, pack: PackId) -> Result<(), StoreError>;

    /// Copies these objects into a new pack even though other packs hold them. Returns `None` if
    /// there were none. The new pack is usable on return and preferred over the others.
    ///
    /// # Errors
    /// As for reads and writes; an object that the store does not contain is [`StoreError::Limit`].
    fn copy_live(
        &self,
        objects: &mut dyn Iterator<Item = Blobref>,
    ) -> Result<Option<PackId>, StoreError>;

    /// Prevents deletion of these objects; `None` if the store lacks one of them. A caller takes a
    /// pin before it names an object that it did not write.
    fn pin(&self, objects: &[Blobref]) -> Option<BlobPin>;

    /// Reserves space for `bytes` bytes that will be joined, so that a full store refuses only the
    /// transaction that needs the space, not every transaction of its group.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`].
    fn claim(&self, bytes: u64) -> Result<SpaceClaim, StoreError>;

    /// Releases the space reserved for a checkpoint. Returns whether a retry may help.
    fn relieve(&self) -> bool;

    /// Reserves space for a checkpoint again, as far as there is room.
    fn hold_back(&self);
}

/// A pack being written. If it is dropped before it is finished, it leaves nothing behind.
pub trait PackWriter: Send {
    /// Adds an object, unless the store or this pack contains it. The hash is computed by the
    /// caller and verified on every read of the object.
    ///
    /// # Errors
    /// The pack can no longer be used.
    fn add(&mut self, blobref: &Blobref, bytes: &[u8]) -> Result<(), StoreError>;

    /// Total size of the objects added so far, in bytes.
    fn bytes(&self) -> u64;

    /// Makes the objects added so far durable, so that [`finish`](Self::finish) has less to do.
    /// This does not make the pack usable earlier.
    ///
    /// # Errors
    /// The pack can no longer be used.
    fn sync(&mut self) -> Result<(), StoreError>;

    /// Ends the pack before it is known whether it will be needed. A `whole` pack is synced and
    /// becomes a pack of its own when it is joined; the objects of any other are copied at that
    /// point.
    ///
    /// # Errors
    /// Nothing is left of the pack.
    fn set_aside(self: Box<Self>, whole: bool) -> Result<Staged, StoreError>;

    /// Makes the pack durable and usable, with one sync of the file and one of the directory.
    /// Returns `None` if no object was added.
    ///
    /// # Errors
    /// The pack was abandoned and removed.
    fn finish(self: Box<Self>) -> Result<Option<PackId>, StoreError>;
}
