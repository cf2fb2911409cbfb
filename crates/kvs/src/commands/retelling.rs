//! Recognises items that were printed and are repeated after a lost connection, by their number and
//! a hash, so that only the items after them are printed.

use blake3::Hasher;

/// The items printed so far.
#[derive(Default)]
pub(super) struct Retelling {
    count: u64,
    hash: Hasher,
    /// During a repetition: the items repeated so far.
    again: Option<(u64, Hasher)>,
}

/// The repetition differs from what was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Differs;

impl Retelling {
    /// Number of items printed.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Records the next item, given as its parts. Returns whether it must be printed.
    pub(super) fn takes(&mut self, item: &[&[u8]]) -> Result<bool, Differs> {
        let Some((count, hash)) = &mut self.again else {
            add(&mut self.hash, item);
            self.count += 1;
            return Ok(true);
        };
        add(hash, item);
        *count += 1;
        if *count == self.count {
            if hash.finalize() != self.hash.finalize() {
                return Err(Differs);
            }
            self.again = None;
        }
        Ok(false)
    }

    /// Records an item that cannot be repeated.
    pub(super) fn takes_last(&mut self, item: &[&[u8]]) -> Result<bool, Differs> {
        if self.again.is_some() {
            return self.takes(item);
        }
        self.count += 1;
        Ok(true)
    }

    /// Starts a repetition of all items.
    pub(super) fn restart(&mut self) {
        self.again = (self.count > 0).then(Default::default);
    }

    /// Checks that a repetition is complete.
    pub(super) fn finish(&self) -> Result<(), Differs> {
        match self.again {
            Some(_) => Err(Differs),
            None => Ok(()),
        }
    }
}

fn add(hash: &mut Hasher, item: &[&[u8]]) {
    for part in item {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records items and returns those to print.
    fn told<'i>(of: &mut Retelling, items: &[&'i str]) -> Result<Vec<&'i str>, Differs> {
        let mut printed = Vec::new();
        for item in items {
            if of.takes(&[item.as_bytes()])? {
                printed.push(*item);
            }
        }
        Ok(printed)
    }

    #[test]
    fn what_is_told_again_is_printed_once_and_the_rest_behind_it() {
        let mut of = Retelling::default();
        assert_eq!(told(&mut of, &["a", "b"]).unwrap(), ["a", "b"]);
        of.restart();
        assert_eq!(told(&mut of, &["a"]).unwrap(), [""; 0]);
        assert_eq!(of.finish(), Err(Differs), "there was more");
        // The connection is lost again during the repetition.
        of.restart();
        assert_eq!(told(&mut of, &["a", "b", "c"]).unwrap(), ["c"]);
        assert_eq!((of.finish(), of.count()), (Ok(()), 3));
    }

    #[test]
    fn something_else_is_not_taken_for_what_was_printed() {
        for other in [["a", "x"], ["ab", ""], ["b", "a"]] {
            let mut of = Retelling::default();
            told(&mut of, &["a", "b"]).unwrap();
            of.restart();
            assert_eq!(told(&mut of, &other), Err(Differs), "{other:?}");
        }
    }

    #[test]
    fn what_was_not_begun_has_nothing_to_go_on_behind() {
        let mut of = Retelling::default();
        of.restart();
        assert_eq!(told(&mut of, &["a"]).unwrap(), ["a"]);
        assert_eq!(of.takes_last(&[b"b"]), Ok(true));
        assert_eq!(of.finish(), Ok(()));
    }
}
