//! Whether a key may be in an index, told without looking there.
//!
//! A commit asks the index of watches for each key that it touched and for every directory above
//! it, and mostly nobody watches any of them. Here a key is one byte at the place that its hash
//! names: how many keys of the index have that place. A place that counts none says no for certain.

use kvs_tree::Key;

/// Places for a key, at least, when the table is made.
const PLACES_A_KEY: usize = 8;

/// Fewest places.
const PLACES_MIN: usize = 64;

/// The hash of no names: what FNV-1a begins with.
const ROOT: u64 = 0xcbf2_9ce4_8422_2325;

/// What FNV-1a multiplies with.
const PRIME: u64 = 0x0100_0000_01b3;

/// Counts of the keys of an index.
#[derive(Default)]
pub(crate) struct PrefixBloom {
    /// Stuck at 255. A power of two of them, or none for an empty index.
    counts: Vec<u8>,
    keys: usize,
}

/// The hashes of the root, of each directory above the key downwards, and of the key.
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
    /// Adds a key that was not there. False if there is no place for it: then the table has to be
    /// made anew.
    pub(crate) fn insert(&mut self, key: &Key) -> bool {
        if (self.keys + 1) * PLACES_A_KEY > self.counts.len() * 2 {
            return false;
        }
        self.keys += 1;
        self.change(key, |count| count.saturating_add(1));
        true
    }

    /// Removes a key that was there.
    pub(crate) fn remove(&mut self, key: &Key) {
        self.keys = self.keys.saturating_sub(1);
        self.change(key, |count| match count {
            u8::MAX => u8::MAX,
            fewer => fewer.saturating_sub(1),
        });
    }

    /// A table of these keys, with room for as many again.
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

    /// How many names of `key` make keys that may be in the index, the root and the key itself
    /// included.
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
        // The high bits of the product depend on all of the hash.
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
