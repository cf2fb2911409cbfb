//! What a blob store is, whatever keeps it: immutable objects under their hashes, written in packs.

use std::sync::Arc;

use bytes::Bytes;
use kvs_tree::Blobref;

use super::error::{PackId, StoreError};
use super::join::Joined;
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

/// Objects under their hashes. An object never changes, so a reader needs no lock and no version.
pub trait BlobStore: Send + Sync {
    /// The object, verified against its hash; `None` if it is not in this store. Cost: one read.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if what is stored is not what was written, else disk errors.
    fn get(&self, blobref: &Blobref) -> Result<Option<Bytes>, StoreError>;

    /// Several objects, each as [`get`](Self::get) has it. Those that lie behind one another, in the order in which
    /// they are asked for, are read at once.
    ///
    /// # Errors
    /// As for one.
    fn get_all(&self, blobrefs: &[Blobref]) -> Result<Vec<Option<Bytes>>, StoreError> {
        blobrefs.iter().map(|blobref| self.get(blobref)).collect()
    }

    /// A number that orders objects as they lie on the disk. Cost: no read.
    fn place(&self, blobref: &Blobref) -> u64;

    /// Whether the object is in the store, durably. Cost: nothing if it is not, one small read if it
    /// is. A disk error counts as "no": at worst the object is written a second time.
    fn contains(&self, blobref: &Blobref) -> bool;

    /// Writes the objects that the store does not contain yet into one pack, synced once. When this
    /// returns they are durable and usable; `None` means that there was nothing new. The pack
    /// survives a restart only if it is then listed (see [`super::PackStore::open`]).
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

    /// Takes a pack out of use and deletes its file. The caller has made sure that nothing that is
    /// needed is only there, and that no manifest lists it. Unknown packs are ignored.
    ///
    /// # Errors
    /// When the disk fails; the pack is out of use all the same.
    fn remove(&self, pack: PackId) -> Result<(), StoreError>;
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

    /// Makes durable what was added so far, so that [`finish`](Self::finish) has less to do. The pack is
    /// not of use any earlier.
    ///
    /// # Errors
    /// The pack is then of no use any more.
    fn sync(&mut self) -> Result<(), StoreError>;

    /// Ends the pack before it is known whether it will be needed. A `whole` one is made durable and
    /// becomes a pack of its own when it is joined; of another the objects are copied then.
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

/// A store that is shared.
pub type SharedBlobStore = Arc<dyn BlobStore>;
