//! Boundaries of the nodes of large directories: a function only of the names and the store's split
//! key.
//!
//! The keyed hash of a name determines its level; names of level h + 1 begin nodes of height h.
//! Runs that are still too long are cut at their smallest hash, recursively. This is a treap over
//! the names, truncated where runs are short enough: an insertion or removal moves few cuts, all
//! within its own run.

use crate::hash::StoreParams;
use crate::limits::{HASHED_HEIGHTS, LEVEL_BITS};

/// The keyed hash of a name: uniform for anyone without the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Mark(pub(super) u64);

impl Mark {
    /// The mark of `name`. Costs one hash.
    pub(super) fn of(name: &str, params: &StoreParams) -> Self {
        let hash = blake3::keyed_hash(&params.split_key, name.as_bytes());
        Mark(
            hash.as_bytes()
                .iter()
                .take(8)
                .fold(0, |mark, byte| mark << 8 | u64::from(*byte)),
        )
    }

    /// The largest k with mark < 2^64 / 16^k, at most 16.
    pub(super) fn level(self) -> u8 {
        (self.0.leading_zeros() / LEVEL_BITS) as u8
    }

    /// Whether this name begins a node of this height, whatever its neighbours.
    pub(super) fn cuts(self, height: u8) -> bool {
        self.level() > height
    }
}

/// The positions, in order, where nodes of this height begin, except the first. `marks` belong to
/// the first names of the items to group, which are a whole number of natural runs. Costs O(n).
pub(super) fn cuts(height: u8, marks: &[Mark], max: usize) -> Vec<usize> {
    let mut cuts = Vec::new();
    let mut start = 0;
    let natural = (1..marks.len()).filter(|at| marks.get(*at).is_some_and(|m| m.cuts(height)));
    for end in natural.chain([marks.len()]) {
        if start > 0 {
            cuts.push(start);
        }
        if end - start > max {
            if height < HASHED_HEIGHTS {
                smallest(marks, start, end, max, &mut cuts);
            } else {
                halve(start, end, max, &mut cuts);
            }
        }
        start = end;
    }
    cuts
}

/// Cuts start..end at its smallest mark (never the first item; the first among equals), then both
/// parts likewise while they are longer than `max`. Implemented without recursion: an item is a cut
/// if it is the smallest among at least `max` neighbours.
fn smallest(marks: &[Mark], start: usize, end: usize, max: usize, cuts: &mut Vec<usize>) {
    // Items that have no smaller mark to their left, ascending: (position, mark, start of the
    // neighbours).
    let mut open: Vec<(usize, Mark, usize)> = Vec::new();
    let found = cuts.len();
    for (at, mark) in marks.iter().enumerate().take(end).skip(start + 1) {
        let mut begin = at;
        while let Some((position, _, left)) = open.pop_if(|(_, open, _)| *mark < *open) {
            begin = left;
            if at - left >= max {
                cuts.push(position);
            }
        }
        open.push((at, *mark, begin));
    }
    cuts.extend(
        open.iter()
            .filter(|(_, _, left)| end - left >= max)
            .map(|(at, _, _)| *at),
    );
    if let Some(found) = cuts.get_mut(found..) {
        found.sort_unstable();
    }
}

fn halve(start: usize, end: usize, max: usize, cuts: &mut Vec<usize>) {
    if end - start > max {
        let middle = start + (end - start) / 2;
        halve(start, middle, max, cuts);
        cuts.push(middle);
        halve(middle, end, max, cuts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition in RFC 0001, literally.
    fn defined(height: u8, marks: &[Mark], max: usize) -> Vec<usize> {
        fn split(marks: &[Mark], start: usize, end: usize, max: usize, cuts: &mut Vec<usize>) {
            if end - start > max {
                let at = (start + 1..end).min_by_key(|at| marks[*at]).unwrap();
                split(marks, start, at, max, cuts);
                cuts.push(at);
                split(marks, at, end, max, cuts);
            }
        }
        let mut starts: Vec<usize> = (1..marks.len())
            .filter(|at| marks[*at].level() > height)
            .collect();
        starts.insert(0, 0);
        starts.push(marks.len());
        let mut cuts = Vec::new();
        for run in starts.windows(2) {
            if run[0] > 0 {
                cuts.push(run[0]);
            }
            split(marks, run[0], run[1], max, &mut cuts);
        }
        cuts
    }

    proptest! {
        #[test]
        fn cuts_are_those_of_the_definition(
            marks in prop::collection::vec(prop_oneof![any::<u64>(), 0..50u64, (1u64 << 59)..(1u64 << 61)], 0..200),
            max in 2usize..12,
            height in 0u8..3,
        ) {
            let marks: Vec<Mark> = marks.into_iter().map(Mark).collect();
            prop_assert_eq!(cuts(height, &marks, max), defined(height, &marks, max));
        }

        #[test]
        fn above_the_hashed_heights_parts_are_even(count in 0usize..5000) {
            let marks = vec![Mark(0); count];
            let mut cuts = cuts(HASHED_HEIGHTS, &marks, 64);
            cuts.insert(0, 0);
            cuts.push(count);
            for part in cuts.windows(2) {
                prop_assert!(part[1] - part[0] <= 64);
                prop_assert!(count <= 64 || part[1] - part[0] >= 32);
            }
        }
    }

    #[test]
    fn levels_are_groups_of_four_leading_zero_bits() {
        assert_eq!(Mark(u64::MAX).level(), 0);
        assert_eq!(Mark(1 << 60).level(), 0);
        assert_eq!(Mark((1 << 60) - 1).level(), 1);
        assert_eq!(Mark((1 << 56) - 1).level(), 2);
        assert_eq!(Mark(0).level(), 16);
    }
}
