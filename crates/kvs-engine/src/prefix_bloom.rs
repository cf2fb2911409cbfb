//! A counting Bloom filter with one hash, over the keys of an index.
//!
//! A commit asks the watch index for each key it touched and for each directory above, and nearly
//! always there is no watch. The filter counts the index's keys by hash slot: a slot that counts
//! none proves that the key is absent.

use kvs_tree::Key;

/// Minimum slots per key when the table is built.
const PLACES_A_KEY: usize = 8;

/// Minimum table size.
const PLACES_MIN: usize = 64;

/// The hash of the root: the offset basis of FNV-1a.
const ROOT: u64 = 0xcbf2_9ce4_8422_2325;

/// The prime of FNV-1a.
const PRIME: u64 = 0x0100_0000_01b3;

/// Counts the keys of an index by hash slot.
#[derive(Default)]
pub(crate) struct PrefixBloom {
    /// Counts saturate at 255 and then stay. The length is a power of two, or 0 for an empty index.
    counts: Vec<u8>,
    keys: usize,
}

/// The hashes of the root, of each directory on the way down, and of the key.
fn hashes(key: &Key) -> impl Iterator<Item = u64> {
    let mut hash = ROOT;
    let names = key.names().map(move |name| {
        for byte in name.bytes().chain([b'.']) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        }
        hash
    });
    std::iter::once(ROOT).chain(names)
}

impl PrefixBloom {
    /// Adds a key that is not in the index yet. False if the table is full and must be rebuilt.
    pub(crate) fn insert(&mut self, key: &Key) -> bool {
        if (self.keys + 1) * PLACES_A_KEY > self.counts.len() * 2 {
            return false;
        }
        self.keys += 1;
        self.change(key, |count| count.saturating_add(1));
        true
    }

    /// Removes a key that is in the index.
    pub(crate) fn remove(&mut self, key: &Key) {
        self.keys = self.keys.saturating_sub(1);
        self.change(key, |count| match count {
            u8::MAX => u8::MAX,
            fewer => fewer.saturating_sub(1),
        });
    }

    /// Builds a table of these keys, with room for as many more.
    pub(crate) fn of<'a>(keys: impl ExactSizeIterator<Item = &'a Key>) -> Self {
        let places = (keys.len() * PLACES_A_KEY).max(PLACES_MIN);
        let mut presence = Self {
            counts: vec![0; places.next_power_of_two()],
            keys: 0,
        };
        for key in keys {
            presence.insert(key);
        }
        presence
    }

    /// The depths of the prefixes of `key` that may be in the index, from the root (0) to the key
    /// itself.
    pub(crate) fn prefixes(&self, key: &Key) -> impl Iterator<Item = usize> {
        let found = hashes(key).map(|hash| self.counts.get(self.place(hash)));
        found
            .enumerate()
            .filter(|(_, count)| count.is_some_and(|count| *count > 0))
            .map(|(names, _)| names)
    }

    fn change(&mut self, key: &Key, change: impl FnOnce(u8) -> u8) {
        let place = self.place(hashes(key).last().unwrap_or(ROOT));
        if let Some(count) = self.counts.get_mut(place) {
            *count = change(*count);
        }
    }

    fn place(&self, hash: u64) -> usize {
        // The high bits of the product depend on the whole hash.
        let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        mixed as usize & self.counts.len().wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::parse(text).unwrap()
    }

    #[test]
    fn an_empty_table_has_no_place_and_holds_nothing() {
        let mut presence = PrefixBloom::default();
        assert!(!presence.insert(&key("a")));
        assert_eq!(presence.prefixes(&key("a.b")).count(), 0);
    }

    #[test]
    fn a_key_that_is_there_is_found_on_the_way_to_all_below_it() {
        let keys: Vec<_> = [".", "a", "a.b", "a.b.c.d"].map(key).into();
        let presence = PrefixBloom::of(keys.iter());
        let found: Vec<_> = presence.prefixes(&key("a.b.c.d.e")).collect();
        assert!([0, 1, 2, 4].iter().all(|names| found.contains(names)));
    }

    #[test]
    fn what_is_removed_is_gone_unless_another_has_its_place() {
        let keys: Vec<_> = (0..1_000).map(|n| key(&format!("x.{n}"))).collect();
        let mut presence = PrefixBloom::of(keys.iter());
        for key in &keys {
            assert!(presence.prefixes(key).any(|names| names == 2));
            presence.remove(key);
        }
        assert!(presence.counts.iter().all(|count| *count == 0));
    }

    #[test]
    fn most_keys_that_are_not_there_are_told_apart() {
        let keys: Vec<_> = (0..10_000).map(|n| key(&format!("x.{n}"))).collect();
        let presence = PrefixBloom::of(keys.iter());
        let others = (0..10_000).map(|n| key(&format!("y.{n}")));
        let wrong = others.filter(|key| presence.prefixes(key).any(|names| names == 2));
        assert!(wrong.count() < 2_500);
    }

    #[test]
    fn more_keys_than_places_can_count_still_never_say_no() {
        let mut presence = PrefixBloom {
            counts: vec![0; 1],
            keys: 0,
        };
        for _ in 0..300 {
            presence.keys = 0;
            presence.change(&key("a"), |count| count.saturating_add(1));
        }
        for _ in 0..299 {
            presence.remove(&key("a"));
        }
        assert_eq!(presence.prefixes(&key("a")).count(), 2);
    }
}
