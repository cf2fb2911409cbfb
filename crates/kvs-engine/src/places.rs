//! A bounded number of places of which nobody can take all: the instance owner has one half, guests
//! together the other, and each guest no more than so many of it. Pure.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::request::Principal;

/// How many places each principal has taken.
#[derive(Debug, Default)]
pub(crate) struct Places {
    owner: usize,
    guests: usize,
    each: HashMap<u32, usize, RandomState>,
}

impl Places {
    /// Takes a place among `most`, of which a guest may have `most_of_guest`.
    ///
    /// # Errors
    /// The number of places that the principal, or all guests, have and may not exceed.
    pub(crate) fn take(
        &mut self,
        principal: Principal,
        most: usize,
        most_of_guest: usize,
    ) -> Result<(), usize> {
        let half = most / 2;
        match principal {
            Principal::Owner if self.owner >= half => return Err(half),
            Principal::Owner => self.owner += 1,
            Principal::Guest(uid) => {
                if self.guests >= half {
                    return Err(half);
                }
                let own = self.each.entry(uid).or_default();
                if *own >= most_of_guest {
                    return Err(most_of_guest);
                }
                *own += 1;
                self.guests += 1;
            }
        }
        Ok(())
    }

    /// Gives a place back.
    pub(crate) fn give_back(&mut self, principal: Principal) {
        match principal {
            Principal::Owner => self.owner = self.owner.saturating_sub(1),
            Principal::Guest(uid) => {
                self.guests = self.guests.saturating_sub(1);
                if let Some(own) = self.each.get_mut(&uid) {
                    *own = own.saturating_sub(1);
                    if *own == 0 {
                        self.each.remove(&uid);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_the_place_of_others() {
        let mut places = Places::default();
        let mut take = |principal| places.take(principal, 20, 4);
        for _ in 0..4 {
            assert_eq!(take(Principal::Guest(1)), Ok(()));
        }
        assert_eq!(take(Principal::Guest(1)), Err(4));
        for uid in [2, 2, 2, 2, 3, 3] {
            assert_eq!(take(Principal::Guest(uid)), Ok(()));
        }
        assert_eq!(take(Principal::Guest(3)), Err(10), "all guests have half");
        for _ in 0..10 {
            assert_eq!(take(Principal::Owner), Ok(()));
        }
        assert_eq!(take(Principal::Owner), Err(10));
        places.give_back(Principal::Guest(2));
        assert_eq!(places.take(Principal::Guest(3), 20, 4), Ok(()));
        places.give_back(Principal::Owner);
        assert_eq!(places.take(Principal::Owner, 20, 4), Ok(()));
        for uid in [1, 1, 1, 1, 2, 2, 2, 3, 3, 3] {
            places.give_back(Principal::Guest(uid));
        }
        assert!(places.guests == 0 && places.each.is_empty());
    }
}
