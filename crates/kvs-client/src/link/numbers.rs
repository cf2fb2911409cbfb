//! Which transaction numbers are answered.

use std::collections::VecDeque;

/// The first transaction number of a client.
const FIRST_NUMBER: u64 = 1;

/// Numbers are begun in rising order without holes and answered in any order.
#[derive(Debug)]
pub(crate) struct Numbers {
    lowest: u64,
    answered: VecDeque<bool>,
}

impl Default for Numbers {
    fn default() -> Self {
        Numbers {
            lowest: FIRST_NUMBER,
            answered: VecDeque::new(),
        }
    }
}

impl Numbers {
    /// The next number.
    pub(crate) fn begin(&mut self) -> u64 {
        let number = self.lowest + self.answered.len() as u64;
        self.answered.push_back(false);
        number
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
        let mut numbers = Numbers::default();
        assert_eq!([(); 4].map(|()| numbers.begin()), [1, 2, 3, 4]);
        let after: Vec<u64> = [3, 1, 9, 2, 4]
            .map(|number| {
                numbers.answer(number);
                numbers.acknowledged()
            })
            .to_vec();
        assert_eq!(after, [1, 2, 2, 4, 5]);
    }
}
