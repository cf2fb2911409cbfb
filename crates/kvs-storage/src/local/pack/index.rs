//! The object index of all packs: maps 64 bits of a digest to pack, offset and length.
//!
//! Costs 24 bytes an object and one of the table, at a load between 7/16 and 7/8: 29 to 57 bytes,
//! 39 on average. Objects may share the 64 bits, even by intent. Then all of them are candidates,
//! and the reader compares whole digests.

use std::collections::HashMap;

use kvs_tree::Blobref;

use super::format::RECORD;
use crate::blobs::PackId;

/// Location of an object's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) pack: PackId,
    pub(super) length: u32,
    pub(super) offset: u64,
}

impl Place {
    /// Returns the size of the whole record in bytes.
    pub(super) fn len(&self) -> usize {
        RECORD.saturating_add(usize::try_from(self.length).unwrap_or(usize::MAX))
    }

    /// Returns the offset of the end of the record.
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(self.len() as u64)
    }
}

/// The index of the objects of all packs.
#[derive(Debug, Default)]
pub(super) struct Index {
    places: HashMap<u64, Place>,
    /// Further objects with the same 64 bits; almost always empty.
    more: HashMap<u64, Vec<Place>>,
}

/// Returns the part of the digest that the index uses as key.
fn prefix(blobref: &Blobref) -> u64 {
    blobref
        .digest()
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

impl Index {
    pub(super) fn reserve(&mut self, objects: usize) {
        self.places.reserve(objects);
    }

    pub(super) fn insert(&mut self, blobref: &Blobref, place: Place) {
        let prefix = prefix(blobref);
        if let Some(before) = self.places.insert(prefix, place) {
            self.more.entry(prefix).or_default().push(before);
        }
    }

    /// Returns the possible locations of an object, newest first.
    pub(super) fn candidates(&self, blobref: &Blobref) -> impl Iterator<Item = Place> + '_ {
        let prefix = prefix(blobref);
        let more = self.more.get(&prefix).into_iter().flatten().rev();
        self.places.get(&prefix).into_iter().chain(more).copied()
    }

    /// Removes all objects in packs for which `gone` returns true. Cost: visits every object.
    pub(super) fn remove_packs(&mut self, gone: impl Fn(PackId) -> bool) {
        self.more.retain(|_, places| {
            places.retain(|place| !gone(place.pack));
            !places.is_empty()
        });
        let more = &mut self.more;
        self.places.retain(|prefix, place| {
            if !gone(place.pack) {
                return true;
            }
            // The next candidate replaces it.
            let next = more.get_mut(prefix).and_then(Vec::pop);
            next.is_some_and(|next| {
                *place = next;
                true
            })
        });
        more.retain(|_, places| !places.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use kvs_tree::HashAlgorithm;

    use super::*;

    fn blobref(last: u8) -> Blobref {
        let mut digest = [7; 32];
        digest[31] = last;
        Blobref::from_digest(HashAlgorithm::Blake3, &digest).unwrap()
    }

    fn place(pack: u32) -> Place {
        Place {
            pack: PackId(pack),
            length: 1,
            offset: 2,
        }
    }

    #[test]
    fn objects_with_the_same_prefix_are_all_candidates() {
        let mut index = Index::default();
        for pack in 1..=3 {
            index.insert(&blobref(pack as u8), place(pack));
        }
        let found: Vec<u32> = index
            .candidates(&blobref(1))
            .map(|place| place.pack.0)
            .collect();
        assert_eq!(found, [3, 2, 1]);
        index.remove_packs(|pack| pack.0 == 3);
        let found: Vec<u32> = index
            .candidates(&blobref(1))
            .map(|place| place.pack.0)
            .collect();
        assert_eq!(found, [2, 1]);
        index.remove_packs(|pack| pack.0 != 1);
        assert_eq!(index.candidates(&blobref(9)).count(), 1);
        index.remove_packs(|_| true);
        assert_eq!(index.candidates(&blobref(1)).count(), 0);
    }
}
