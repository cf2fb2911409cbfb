//! What goes wrong again and again is reported once, and then now and then with a count.

use std::time::Duration;

use crate::limits::REPEAT_PERIOD;

/// Occurrences of one kind of trouble, and which of them are worth a line in the log. `now` is any
/// time that rises.
#[derive(Debug, Default)]
pub struct Repeats {
    /// Since the trouble began.
    count: u64,
    next: Duration,
}

impl Repeats {
    /// It has happened. If that is to be reported now: how often it has since it began.
    pub fn again(&mut self, now: Duration) -> Option<u64> {
        self.count += 1;
        if self.count > 1 && now < self.next {
            return None;
        }
        self.next = now.saturating_add(REPEAT_PERIOD);
        Some(self.count)
    }

    /// It went well. If there was trouble before: how often, which is to be reported.
    pub fn over(&mut self) -> Option<u64> {
        let count = std::mem::take(&mut self.count);
        (count > 0).then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_reported_when_it_begins_now_and_then_and_when_it_is_over() {
        let mut trouble = Repeats::default();
        assert_eq!(trouble.over(), None);
        let mut reported = Vec::new();
        for step in 0..5000 {
            let now = Duration::from_millis(50) * step;
            reported.extend(trouble.again(now));
        }
        assert_eq!(reported, [1, 1201, 2401, 3601, 4801]);
        assert_eq!((trouble.over(), trouble.over()), (Some(5000), None));
        assert_eq!(trouble.again(Duration::ZERO), Some(1), "it begins again");
    }
}
