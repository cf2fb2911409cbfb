//! What a blob store is, whatever keeps it: immutable objects under their hashes, written in packs.

use std::any::Any;
use std::fmt;

use bytes::Bytes;
use kvs_tree::Blobref;

use super::error::{PackId, StoreError};
use super::joined::Joined;
use super::staged::Staged;

/// A pack that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackInfo {
    /// Its id.
    pub id: PackId,
    /// Objects in it.
    pub objects: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// Keeps objects from being deleted while it lives.
#[must_use = "the objects may be deleted when this is dropped"]
pub struct BlobPin(
    #[allow(dead_code, reason = "it is kept for its drop")] Box<dyn Any + Send + Sync>,
);

impl BlobPin {
    /// A pin that ends when `guard` is dropped.
    pub(crate) fn new(guard: impl Any + Send + Sync) -> Self {
        Self(Box::new(guard))
    }
}

impl fmt::Debug for BlobPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlobPin")
    }
}

/// Space that is set aside for objects which will be joined, until this is dropped.
#[must_use = "the space is given up when this is dropped"]
pub struct SpaceClaim(
    #[allow(dead_code, reason = "it is kept for its drop")] Box<dyn Any + Send + Sync>,
);

impl SpaceClaim {
    /// A claim that ends when `guard` is dropped.
    pub(crate) fn new(guard: impl Any + Send + Sync) -> Self {
        Self(Box::new(guard))
    }
}

impl fmt::Debug for SpaceClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpaceClaim")
    }
}

/// Objects under their hashes. An object never changes, so a reader needs no lock and no version.
pub trait BlobStore: Send + Sync {
    /// The object, verified against its hash; `None` if it is not in this store. Cost: one read.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if what is stored is not what was written, else disk errors.
    fn get(&self, blobref: &Blobref) -> Result<Option<Bytes>, StoreError>;

    /// Several objects, each as [`get`](Self::get) has it. Those that lie one after the other, in
    /// the order in which they are asked for, are read at once.
    ///
    /// # Errors
    /// As for one.
    fn get_many(&self, blobrefs: &[Blobref]) -> Result<Vec<Option<Bytes>>, StoreError> {
        blobrefs.iter().map(|blobref| self.get(blobref)).collect()
    }

    /// A number that orders objects as they are stored. Cost: no read.
    fn locality_hint(&self, blobref: &Blobref) -> u64;

    /// Whether the object is in the store, durably. Cost: nothing if it is not, one small read if
    /// it is. A disk error counts as "no": at worst the object is written a second time.
    fn contains(&self, blobref: &Blobref) -> bool;

    /// Writes the objects that the store does not contain yet into one pack, synced once. When this
    /// returns they are durable and usable; `None` means that there was nothing new. The pack
    /// survives a restart only if something that is then [adopted](Self::adopt) names it.
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

    /// Starts a pack to stream objects into (a large value, before the record that names it). Any
    /// number may be under way.
    ///
    /// # Errors
    /// When the file cannot be made.
    fn begin_pack(&self) -> Result<Box<dyn PackWriter>, StoreError>;

    /// Makes packs of what was staged for the transactions of one group: durable when this returns,
    /// but not in use before [`publish`](Self::publish).
    ///
    /// # Errors
    /// No pack is left. What was staged in memory may be joined again.
    fn join(&self, staged: &[&Staged]) -> Result<Joined, StoreError>;

    /// Takes packs into use: the group that registers them is written.
    fn publish(&self, joined: Joined);

    /// The packs in use, by id.
    fn packs(&self) -> Vec<PackInfo>;

    /// Takes packs into use that the root record or a group names. Other packs that are whole may
    /// be taken into use as well, until [`retain`](Self::retain).
    ///
    /// # Errors
    /// [`StoreError::MissingPack`] and [`StoreError::CorruptPack`]; nothing is deleted then.
    fn adopt(&self, packs: &[PackId]) -> Result<(), StoreError>;

    /// Deletes all packs but these, which are everything that either slot of the root record and
    /// the groups after them name. No pack may be under way.
    ///
    /// # Errors
    /// When the medium fails; the packs are out of use all the same.
    fn retain(&self, packs: &[PackId]) -> Result<(), StoreError>;

    /// Takes a pack out of use and deletes it. The caller has made sure that nothing needs what is
    /// only there, and that no slot of the root record names it. Unknown packs are ignored.
    ///
    /// # Errors
    /// [`StoreError::Pinned`]: nothing was changed. When the medium fails the pack is out of use all
    /// the same.
    fn delete(&self, pack: PackId) -> Result<(), StoreError>;

    /// Writes these objects into a new pack although other packs hold them. `None`: there were
    /// none. It is usable when this returns, and preferred to the other packs.
    ///
    /// # Errors
    /// As for one that is read or written; an object that is not there is [`StoreError::Limit`].
    fn copy_live(
        &self,
        objects: &mut dyn Iterator<Item = Blobref>,
    ) -> Result<Option<PackId>, StoreError>;

    /// Keeps these objects from being deleted; `None` if one of them is not in the store. Whoever
    /// is about to name an object that it did not write takes a pin first.
    fn pin(&self, objects: &[Blobref]) -> Option<BlobPin>;

    /// Sets space aside for `bytes` that will be joined, so that a full store refuses the
    /// transaction that needs it and not all those that share its group.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`].
    fn claim(&self, bytes: u64) -> Result<SpaceClaim, StoreError>;

    /// Gives up what is held back for a checkpoint. Whether trying again may help.
    fn relieve(&self) -> bool;

    /// Holds space back for a checkpoint again, as far as there is any.
    fn hold_back(&self);
}

/// A pack being written. Dropped before it is finished, it leaves nothing behind.
pub trait PackWriter: Send {
    /// Adds an object, unless the store or this pack contains it. The caller has computed the hash;
    /// it is verified whenever the object is read.
    ///
    /// # Errors
    /// The pack is then of no use any more.
    fn add(&mut self, blobref: &Blobref, bytes: &[u8]) -> Result<(), StoreError>;

    /// Bytes of objects so far.
    fn bytes(&self) -> u64;

    /// Makes durable what was added so far, so that [`finish`](Self::finish) has less to do. The
    /// pack is not of use any earlier.
    ///
    /// # Errors
    /// The pack is then of no use any more.
    fn sync(&mut self) -> Result<(), StoreError>;

    /// Ends the pack before it is known whether it will be needed. A `whole` one is made durable
    /// and becomes a pack of its own when it is joined; of another the objects are copied then.
    ///
    /// # Errors
    /// Nothing is left of it.
    fn set_aside(self: Box<Self>, whole: bool) -> Result<Staged, StoreError>;

    /// Makes the pack durable (one sync of the file, one of the directory) and usable. `None` if no
    /// object was added.
    ///
    /// # Errors
    /// The pack was abandoned and removed.
    fn finish(self: Box<Self>) -> Result<Option<PackId>, StoreError>;
}
