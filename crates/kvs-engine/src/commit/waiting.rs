//! Transactions that wait for objects that are not in memory, and those that must not overtake
//! them. There is a line for each client and namespace. Lines take turns by tenant to have objects
//! loaded. Pure.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;
use smol_str::SmolStr;

use crate::limits::{
    GUEST_WAITING, GUEST_WAITING_BYTES, LOADS, TURN_BYTES, WAITING, WAITING_BYTES,
};
use crate::request::{CommitRequest, Principal, Tenant};
use crate::turns::Turns;

/// A client's transactions in a namespace; none overtakes another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LineKey {
    caller: Principal,
    client: [u8; 16],
    pub(super) namespace: SmolStr,
}

impl LineKey {
    pub(super) fn of(request: &CommitRequest) -> Self {
        Self {
            caller: request.caller,
            client: request.id.client,
            namespace: request.namespace.clone(),
        }
    }
}

/// The limit that is reached, so that no more may wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Full {
    Transactions(usize),
    Bytes(u64),
}

#[derive(Debug)]
struct Line<T> {
    tenant: Tenant,
    /// Waiting items, each with the bytes that it counts for.
    items: VecDeque<(T, u64)>,
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Amount {
    count: usize,
    bytes: u64,
}

impl Amount {
    fn check(self, bytes: u64, most: Self) -> Result<(), Full> {
        if self.count >= most.count {
            return Err(Full::Transactions(most.count));
        }
        // An item larger than the whole limit may wait alone.
        if self.count > 0 && self.bytes.saturating_add(bytes) > most.bytes {
            return Err(Full::Bytes(most.bytes));
        }
        Ok(())
    }

    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }

    fn remove(&mut self, bytes: u64) {
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// Everything that waits. Lines are never empty between two calls of the commit task.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    lines: HashMap<LineKey, Line<T>, RandomState>,
    /// Lines for which nothing is being loaded.
    due: Turns<Tenant, VecDeque<LineKey>>,
    loads: usize,
    owner: Amount,
    guests: Amount,
    each: HashMap<Principal, Amount, RandomState>,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self {
            lines: HashMap::default(),
            due: Turns::new(TURN_BYTES),
            loads: 0,
            owner: Amount::default(),
            guests: Amount::default(),
            each: HashMap::default(),
        }
    }
}

impl<T> Waiting<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether a transaction of this line must wait, even if it needs nothing.
    pub(super) fn contains(&self, key: &LineKey) -> bool {
        self.lines.contains_key(key)
    }

    /// Appends an item to its line. A new line becomes due for loading.
    ///
    /// # Errors
    /// Returns the item if too much of its tenant waits.
    pub(super) fn push(
        &mut self,
        key: LineKey,
        tenant: Tenant,
        item: T,
        bytes: u64,
    ) -> Result<(), (T, Full)> {
        if let Err(full) = self.check(tenant, bytes) {
            return Err((item, full));
        }
        self.count(tenant, |amount| amount.add(bytes));
        if let Some(line) = self.lines.get_mut(&key) {
            line.items.push_back((item, bytes));
            return Ok(());
        }
        let line = Line {
            tenant,
            items: VecDeque::from([(item, bytes)]),
        };
        self.lines.insert(key.clone(), line);
        self.make_due(tenant, key);
        Ok(())
    }

    fn check(&self, tenant: Tenant, bytes: u64) -> Result<(), Full> {
        let most = Amount {
            count: WAITING,
            bytes: WAITING_BYTES,
        };
        let Tenant::Guest(guest) = tenant else {
            return self.owner.check(bytes, most);
        };
        self.guests.check(bytes, most)?;
        let own = self.each.get(&guest).copied().unwrap_or_default();
        let most = Amount {
            count: GUEST_WAITING,
            bytes: GUEST_WAITING_BYTES,
        };
        own.check(bytes, most)
    }

    fn count(&mut self, tenant: Tenant, change: impl Fn(&mut Amount)) {
        let Tenant::Guest(guest) = tenant else {
            return change(&mut self.owner);
        };
        change(&mut self.guests);
        let own = self.each.entry(guest).or_default();
        change(own);
        if own.count == 0 {
            self.each.remove(&guest);
        }
    }

    fn make_due(&mut self, tenant: Tenant, key: LineKey) {
        if let Some(due) = self.due.line(tenant) {
            due.push_back(key);
        }
    }

    /// The next line to load for; `None` if enough loads are running. The load counts as running
    /// until [`loaded`](Self::loaded) is called.
    pub(super) fn next(&mut self) -> Option<LineKey> {
        if self.loads >= LOADS {
            return None;
        }
        loop {
            let (_, due) = self.due.front()?;
            let key = due.pop_front();
            match due.is_empty() {
                true => drop(self.due.retire()),
                false => self.due.pass(),
            }
            if let Some(key) = key.filter(|key| self.lines.contains_key(key)) {
                self.loads += 1;
                return Some(key);
            }
        }
    }

    /// The first items of a line, at most `most` bytes of them, but at least one.
    pub(super) fn first(&self, key: &LineKey, most: u64) -> impl Iterator<Item = &T> {
        let line = self.lines.get(key);
        let mut bytes = 0_u64;
        let items = line.into_iter().flat_map(|line| &line.items);
        items.enumerate().map_while(move |(at, (item, own))| {
            bytes = bytes.saturating_add(*own);
            (at == 0 || bytes <= most).then_some(item)
        })
    }

    /// A load for a line has ended.
    pub(super) fn loaded(&mut self) {
        self.loads = self.loads.saturating_sub(1);
    }

    /// Removes the first item of a line. The line itself stays until it is [settled](Self::settle).
    pub(super) fn pop(&mut self, key: &LineKey) -> Option<(T, u64)> {
        let line = self.lines.get_mut(key)?;
        let (item, bytes) = line.items.pop_front()?;
        let tenant = line.tenant;
        self.count(tenant, |amount| amount.remove(bytes));
        Some((item, bytes))
    }

    /// Puts a removed item back to the front of its line.
    pub(super) fn put_back(&mut self, key: &LineKey, item: T, bytes: u64) {
        if let Some(line) = self.lines.get_mut(key) {
            line.items.push_front((item, bytes));
            let tenant = line.tenant;
            self.count(tenant, |amount| amount.add(bytes));
        }
    }

    /// Ends a line that is empty; else makes it due again.
    pub(super) fn settle(&mut self, key: LineKey) {
        let Some(line) = self.lines.get(&key) else {
            return;
        };
        if line.items.is_empty() {
            self.lines.remove(&key);
        } else {
            self.make_due(line.tenant, key);
        }
    }

    /// Removes everything that waits, in no particular order of lines. Running loads continue.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        let lines = std::mem::take(&mut self.lines);
        self.due = Turns::new(TURN_BYTES);
        (self.owner, self.guests) = (Amount::default(), Amount::default());
        self.each.clear();
        lines
            .into_values()
            .flat_map(|line| line.items)
            .map(|(item, _)| item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Tenant = Tenant::Owner;

    fn line(client: u8, namespace: &str) -> LineKey {
        LineKey {
            caller: Principal::Uid(1),
            client: [client; 16],
            namespace: namespace.into(),
        }
    }

    fn names(waiting: &mut Waiting<u32>) -> Vec<u8> {
        let next = std::iter::from_fn(|| waiting.next());
        next.map(|key| key.client[0]).collect()
    }

    #[test]
    fn a_line_keeps_its_order_whatever_is_put_back() {
        let mut waiting = Waiting::default();
        let key = line(1, "a");
        for item in 0..5 {
            let pushed = waiting.push(key.clone(), OWNER, item, 10);
            assert_eq!(pushed, Ok(()));
        }
        assert!(waiting.contains(&key) && !waiting.contains(&line(1, "b")));
        assert!(!waiting.contains(&line(2, "a")));
        assert_eq!(waiting.next(), Some(key.clone()));
        assert_eq!(waiting.next(), None, "it is loaded for already");
        let first: Vec<u32> = waiting.first(&key, 29).copied().collect();
        assert_eq!(first, [0, 1]);
        assert_eq!(waiting.first(&key, 0).count(), 1, "at least one");
        waiting.loaded();
        let mut taken = Vec::new();
        for back in [false, true, true, false, false] {
            let (item, bytes) = waiting.pop(&key).unwrap();
            match back {
                true => waiting.put_back(&key, item, bytes),
                false => taken.push(item),
            }
        }
        waiting.settle(key.clone());
        assert_eq!(waiting.next(), Some(key.clone()), "it is due again");
        while let Some((item, _)) = waiting.pop(&key) {
            taken.push(item);
        }
        assert_eq!(taken, [0, 1, 2, 3, 4]);
        // The last of them must not be overtaken either until the line is settled.
        assert!(waiting.contains(&key));
        waiting.settle(key);
        assert!(waiting.is_empty());
        assert_eq!(waiting.owner, Amount::default());
    }

    #[test]
    fn lines_are_loaded_for_in_turns_of_their_tenants_and_few_at_a_time() {
        let mut waiting = Waiting::default();
        let guests = [
            Tenant::Guest(Principal::Uid(1)),
            Tenant::Guest(Principal::Uid(2)),
        ];
        for client in 0..10 {
            let pushed = waiting.push(line(client, "a"), guests[0], 0, 1);
            assert_eq!(pushed, Ok(()));
        }
        let all = [(50, guests[1]), (60, OWNER), (61, OWNER)];
        for (client, tenant) in all {
            let pushed = waiting.push(line(client, "a"), tenant, 0, 1);
            assert_eq!(pushed, Ok(()));
        }
        assert_eq!(names(&mut waiting), [0, 50, 60, 1]);
        (0..4).for_each(|_| waiting.loaded());
        assert_eq!(names(&mut waiting), [61, 2, 3, 4]);
    }

    #[test]
    fn each_tenant_has_its_own_limits() {
        let mut waiting = Waiting::default();
        let (one, other) = (
            Tenant::Guest(Principal::Uid(1)),
            Tenant::Guest(Principal::Uid(2)),
        );
        for item in 0..GUEST_WAITING {
            let pushed = waiting.push(line(1, "a"), one, item, 1);
            assert_eq!(pushed, Ok(()));
        }
        let full = waiting.push(line(1, "a"), one, 7, 1);
        assert_eq!(full, Err((7, Full::Transactions(GUEST_WAITING))));
        // An item larger than the whole limit may wait alone.
        for (tenant, most) in [(other, GUEST_WAITING_BYTES), (OWNER, WAITING_BYTES)] {
            let pushed = waiting.push(line(2, "a"), tenant, 0, most + 1);
            assert_eq!(pushed, Ok(()));
            let full = waiting.push(line(3, "a"), tenant, 8, 1);
            assert_eq!(full, Err((8, Full::Bytes(most))));
        }
        assert_eq!(waiting.drain().count(), GUEST_WAITING + 2);
        assert!(waiting.is_empty() && waiting.each.is_empty());
        assert_eq!(waiting.push(line(1, "a"), one, 7, 1), Ok(()));
        let (_, bytes) = waiting.pop(&line(1, "a")).unwrap();
        assert!(bytes == 1 && waiting.each.is_empty());
    }

    #[test]
    fn any_course_of_events_agrees_with_lists() {
        for seed in 0..200_u64 {
            let mut state = seed;
            let mut random = |below: u64| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(99);
                (state >> 33) % below
            };
            let mut waiting = Waiting::default();
            let mut model: HashMap<LineKey, VecDeque<u64>> = HashMap::new();
            let mut loading = Vec::new();
            for item in 0..300 {
                let key = line(random(4) as u8, ["a", "b"][random(2) as usize]);
                match random(3) {
                    0 => {
                        let pushed = waiting.push(key.clone(), OWNER, item, random(9));
                        assert_eq!(pushed, Ok(()));
                        model.entry(key).or_default().push_back(item);
                    }
                    1 => {
                        let next = waiting.next();
                        let free = model.keys().filter(|key| !loading.contains(*key)).count();
                        assert_eq!(next.is_some(), loading.len() < LOADS && free > 0);
                        loading.extend(next);
                    }
                    _ if loading.is_empty() => {}
                    _ => {
                        let key = loading.swap_remove(random(loading.len() as u64) as usize);
                        waiting.loaded();
                        let list = model.get_mut(&key).unwrap();
                        for _ in 0..random(4) {
                            let popped = waiting.pop(&key);
                            assert_eq!(popped.map(|(item, _)| item), list.front().copied());
                            match popped {
                                Some((item, bytes)) if random(3) == 0 => {
                                    waiting.put_back(&key, item, bytes);
                                }
                                _ => drop(list.pop_front()),
                            }
                        }
                        if list.is_empty() {
                            model.remove(&key);
                        }
                        waiting.settle(key);
                    }
                }
                let count: usize = model.values().map(VecDeque::len).sum();
                assert_eq!(waiting.owner.count, count);
                assert_eq!(waiting.lines.len(), model.len());
            }
        }
    }
}
