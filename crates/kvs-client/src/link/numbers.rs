//! Which transaction numbers are answered.

use std::collections::VecDeque;

/// Numbers are begun in rising order without holes and answered in any order.
#[derive(Debug)]
pub(crate) struct Numbers {
    lowest: u64,
    answered: VecDeque<bool>,
}

impl Numbers {
    /// Nothing begun; the first number will be `first`.
    pub(crate) fn new(first: u64) -> Self {
        Numbers {
            lowest: first,
            answered: VecDeque::new(),
        }
    }

    /// The next number goes out.
    pub(crate) fn begin(&mut self) {
        self.answered.push_back(false);
    }

    /// That number is answered.
    pub(crate) fn answer(&mut self, number: u64) {
        let index = number
            .checked_sub(self.lowest)
            .and_then(|index| usize::try_from(index).ok());
        if let Some(answered) = index.and_then(|index| self.answered.get_mut(index)) {
            *answered = true;
        }
        while self.answered.front() == Some(&true) {
            self.answered.pop_front();
            self.lowest += 1;
        }
    }

    /// All numbers below this one are answered.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.lowest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledged_is_the_lowest_unanswered_number() {
        let mut numbers = Numbers::new(1);
        for _ in 0..4 {
            numbers.begin();
        }
        let after: Vec<u64> = [3, 1, 9, 2, 4]
            .map(|number| {
                numbers.answer(number);
                numbers.acknowledged()
            })
            .to_vec();
        assert_eq!(after, [1, 2, 2, 4, 5]);
    }
}
