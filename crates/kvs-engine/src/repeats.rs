//! Limits log lines for a recurring failure: the first is reported, later ones periodically with a
//! count.

use std::time::Duration;

use crate::limits::REPEAT_PERIOD;

/// Counts the occurrences of one failure and decides which to report. `now` is any monotonic time.
#[derive(Debug, Default)]
pub struct Repeats {
    /// Occurrences since the failure began.
    count: u64,
    next: Duration,
}

impl Repeats {
    /// Notes a failure. Returns the count so far if it is to be reported now.
    pub fn again(&mut self, now: Duration) -> Option<u64> {
        self.count += 1;
        if self.count > 1 && now < self.next {
            return None;
        }
        self.next = now.saturating_add(REPEAT_PERIOD);
        Some(self.count)
    }

    /// Notes a success. Returns the number of failures before it, if any, to be reported.
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
