//! Deficit round robin: a ring of lines that take turns, each spending up to a quantum per turn.
//! Pure. Lines can be nested: they share first by the outer key, then by the inner one, such as
//! principal and connection.
//!
//! A line that overspends its turn pays with later turns, so shares differ by at most a turn and an
//! item. A line that is alone, or becomes empty, owes nothing.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use foldhash::fast::RandomState;

/// Maximum debt in turns; what a line spends beyond it is forgiven.
const DEBT_TURNS: i64 = 64;

/// Lines by key. Every line that is not retired takes turns.
#[derive(Debug)]
pub struct Turns<K, V> {
    /// The amount a line may spend per turn.
    quantum: i64,
    lines: Vec<Option<Line<K, V>>>,
    free: Vec<usize>,
    at: HashMap<K, usize, RandomState>,
    /// Line indexes in turn order.
    ring: VecDeque<usize>,
}

#[derive(Debug)]
struct Line<K, V> {
    key: K,
    value: V,
    /// What the line may still spend in this turn; its debt if negative.
    balance: i64,
}

impl<K: Copy + Eq + Hash, V: Default> Turns<K, V> {
    /// Creates an empty ring whose lines may spend `quantum` per turn.
    pub fn new(quantum: u32) -> Self {
        Self {
            quantum: i64::from(quantum.max(1)),
            lines: Vec::new(),
            free: Vec::new(),
            at: HashMap::default(),
            ring: VecDeque::new(),
        }
    }

    /// The number of lines.
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// The line of a key. A new line is created with its turn after all others.
    pub fn line(&mut self, key: K) -> Option<&mut V> {
        let index = match self.at.get(&key) {
            Some(index) => *index,
            None => self.add(key),
        };
        Some(&mut self.lines.get_mut(index)?.as_mut()?.value)
    }

    fn add(&mut self, key: K) -> usize {
        let line = Line {
            key,
            value: V::default(),
            balance: self.quantum,
        };
        let index = self.free.pop().unwrap_or(self.lines.len());
        match self.lines.get_mut(index) {
            Some(place) => *place = Some(line),
            None => self.lines.push(Some(line)),
        }
        self.at.insert(key, index);
        self.ring.push_back(index);
        index
    }

    /// The line whose turn it is.
    pub fn front(&mut self) -> Option<(K, &mut V)> {
        let line = self.lines.get_mut(*self.ring.front()?)?.as_mut()?;
        Some((line.key, &mut line.value))
    }

    /// Charges the front line. If that ends its turn, the next line comes to the front.
    pub fn spend(&mut self, cost: u32) {
        let quantum = self.quantum;
        let alone = self.ring.len() < 2;
        let Some(front) = self.at_front() else { return };
        front.balance -= i64::from(cost);
        if front.balance > 0 {
            return;
        }
        if alone {
            front.balance = quantum;
            return;
        }
        front.balance = front.balance.max(-DEBT_TURNS * quantum);
        // At most `DEBT_TURNS` rounds.
        while let Some(front) = self.at_front()
            && front.balance <= 0
        {
            front.balance += quantum;
            self.ring.rotate_left(1);
        }
    }

    fn at_front(&mut self) -> Option<&mut Line<K, V>> {
        self.lines.get_mut(*self.ring.front()?)?.as_mut()
    }

    /// Ends the front line's turn, regardless of what it has spent.
    pub fn pass(&mut self) {
        if self.ring.len() > 1 {
            self.ring.rotate_left(1);
        }
    }

    /// Removes the front line, which is empty.
    pub fn retire(&mut self) -> Option<V> {
        let index = self.ring.pop_front()?;
        let line = self.lines.get_mut(index)?.take()?;
        self.at.remove(&line.key);
        self.free.push(index);
        Some(line.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Queue = Turns<u32, VecDeque<u32>>;

    fn take(queue: &mut Queue) -> Option<(u32, u32)> {
        let (key, line) = queue.front()?;
        let cost = line.pop_front()?;
        let empty = line.is_empty();
        if empty {
            queue.retire();
        } else {
            queue.spend(cost);
        }
        Some((key, cost))
    }

    fn fill(queue: &mut Queue, key: u32, costs: impl IntoIterator<Item = u32>) {
        queue.line(key).unwrap().extend(costs);
    }

    #[test]
    fn one_line_keeps_its_order_and_owes_nothing_for_what_it_spent_alone() {
        let mut queue = Queue::new(10);
        fill(&mut queue, 1, [5, 500, 7, 1]);
        assert_eq!(take(&mut queue), Some((1, 5)));
        assert_eq!(take(&mut queue), Some((1, 500)));
        fill(&mut queue, 2, [3, 3]);
        let rest: Vec<_> = std::iter::from_fn(|| take(&mut queue)).collect();
        assert_eq!(rest, [(1, 7), (1, 1), (2, 3), (2, 3)]);
        assert!(queue.is_empty() && queue.at.is_empty());
    }

    #[test]
    fn who_comes_waits_for_one_turn_of_each_other_however_much_they_have() {
        let mut queue = Queue::new(4);
        for key in 0..3 {
            fill(&mut queue, key, vec![1; 10_000]);
        }
        (0..100).for_each(|_| assert!(take(&mut queue).is_some()));
        fill(&mut queue, 9, [1]);
        let before = std::iter::from_fn(|| take(&mut queue)).position(|(key, _)| key == 9);
        assert!(before.unwrap() <= 3 * 4, "{before:?}");
    }

    #[test]
    fn shares_differ_by_a_turn_and_an_item_at_most() {
        for seed in 0..200_u32 {
            let mut state = u64::from(seed) + 1;
            let mut random = |below: u32| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(99);
                (state >> 33) as u32 % below
            };
            let (quantum, largest) = (1 + random(50), 1 + random(100));
            let mut queue = Queue::new(quantum);
            let lines = 2 + random(6);
            for key in 0..lines {
                let most = 1 + random(largest);
                fill(&mut queue, key, (0..5_000).map(|_| 1 + random(most)));
            }
            let mut spent = vec![0_u64; lines as usize];
            // While every line has something left.
            while queue.len() == lines as usize {
                let (key, cost) = take(&mut queue).unwrap();
                spent[key as usize] += u64::from(cost);
                let (least, most) = (spent.iter().min(), spent.iter().max());
                let apart = most.unwrap() - least.unwrap();
                assert!(
                    apart <= u64::from(2 * (quantum + largest)),
                    "seed {seed}: {spent:?}"
                );
            }
        }
    }

    #[test]
    fn lines_within_lines_share_by_the_outer_key_first() {
        let mut queue: Turns<u32, Turns2> = Turns::new(1);
        // One principal with 32 connections, and one with a single connection.
        for connection in 0..32 {
            let lines = queue.line(1).unwrap();
            lines.0.line(connection).unwrap().extend([0; 64]);
        }
        queue.line(2).unwrap().0.line(0).unwrap().extend([0; 64]);
        let mut taken = [0, 0];
        for _ in 0..100 {
            let (principal, lines) = queue.front().unwrap();
            let (_, line) = lines.0.front().unwrap();
            line.pop_front().unwrap();
            lines.0.spend(1);
            queue.spend(1);
            taken[principal as usize - 1] += 1;
        }
        assert_eq!(taken, [50, 50]);
        let (_, lines) = (queue.pass(), queue.line(1).unwrap());
        let mut left: Vec<usize> = Vec::new();
        while let Some((_, line)) = lines.0.front() {
            left.push(line.len());
            lines.0.retire();
        }
        assert_eq!(
            (left.iter().min(), left.iter().max()),
            (Some(&62), Some(&63))
        );
    }

    struct Turns2(Queue);

    impl Default for Turns2 {
        fn default() -> Self {
            Self(Queue::new(1))
        }
    }
}
