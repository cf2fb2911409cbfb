//! A limited number of places that no tenant can exhaust: the instance owner has one half, all
//! guests share the other, and each guest's part of it is limited too. Pure.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::request::{Principal, Tenant};

/// The number of places that each tenant holds.
#[derive(Debug, Default)]
pub(crate) struct Places {
    owner: usize,
    guests: usize,
    each: HashMap<Principal, usize, RandomState>,
}

impl Places {
    /// Takes one of `most` places; a guest may hold up to `most_of_guest`.
    ///
    /// # Errors
    /// The limit that the tenant, or all guests together, have reached.
    pub(crate) fn take(
        &mut self,
        tenant: Tenant,
        most: usize,
        most_of_guest: usize,
    ) -> Result<(), usize> {
        let half = most / 2;
        match tenant {
            Tenant::Owner if self.owner >= half => return Err(half),
            Tenant::Owner => self.owner += 1,
            Tenant::Guest(guest) => {
                if self.guests >= half {
                    return Err(half);
                }
                let own = self.each.entry(guest).or_default();
                if *own >= most_of_guest {
                    return Err(most_of_guest);
                }
                *own += 1;
                self.guests += 1;
            }
        }
        Ok(())
    }

    /// Returns a place.
    pub(crate) fn give_back(&mut self, tenant: Tenant) {
        match tenant {
            Tenant::Owner => self.owner = self.owner.saturating_sub(1),
            Tenant::Guest(guest) => {
                self.guests = self.guests.saturating_sub(1);
                if let Some(own) = self.each.get_mut(&guest) {
                    *own = own.saturating_sub(1);
                    if *own == 0 {
                        self.each.remove(&guest);
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
        let mut take = |tenant| places.take(tenant, 20, 4);
        for _ in 0..4 {
            assert_eq!(take(Tenant::Guest(Principal::Uid(1))), Ok(()));
        }
        assert_eq!(take(Tenant::Guest(Principal::Uid(1))), Err(4));
        for uid in [2, 2, 2, 2, 3, 3] {
            assert_eq!(take(Tenant::Guest(Principal::Uid(uid))), Ok(()));
        }
        assert_eq!(
            take(Tenant::Guest(Principal::Uid(3))),
            Err(10),
            "all guests have half"
        );
        for _ in 0..10 {
            assert_eq!(take(Tenant::Owner), Ok(()));
        }
        assert_eq!(take(Tenant::Owner), Err(10));
        places.give_back(Tenant::Guest(Principal::Uid(2)));
        assert_eq!(places.take(Tenant::Guest(Principal::Uid(3)), 20, 4), Ok(()));
        places.give_back(Tenant::Owner);
        assert_eq!(places.take(Tenant::Owner, 20, 4), Ok(()));
        for uid in [1, 1, 1, 1, 2, 2, 2, 3, 3, 3] {
            places.give_back(Tenant::Guest(Principal::Uid(uid)));
        }
        assert!(places.guests == 0 && places.each.is_empty());
    }
}
