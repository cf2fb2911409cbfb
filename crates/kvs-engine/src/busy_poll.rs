//! When a thread that has nothing to do looks again instead of sleeping.
//!
//! To wake a thread takes some 10 µs where its processor is awake, and 30 to 60 µs where a virtual
//! machine has to be given one first: as much as the sync that a commit waits for. So a thread that
//! is asked again and again waits awake, and gives its processor to whoever wants it meanwhile. One
//! that is asked from time to time sleeps. The past tells which of the two it is, as in the halt
//! polling of hypervisors (`halt_poll_ns` of KVM).

use std::time::{Duration, Instant};

/// Pauses in a row that must have been short.
const SHORT_PAUSES: u8 = 2;

/// Decides for one thread. Pure: it is told the time.
#[derive(Debug)]
pub struct BusyPoll {
    most: Duration,
    /// Since when there is nothing to do.
    idle: Option<Instant>,
    /// Short pauses, one after the other, up to [`SHORT_PAUSES`].
    short: u8,
}

impl BusyPoll {
    /// For pauses of at most so long; with zero it always sleeps.
    pub fn new(most: Duration) -> BusyPoll {
        BusyPoll {
            most,
            idle: None,
            short: 0,
        }
    }

    /// There is nothing to do: whether to look again rather than to sleep. The pause begins with the
    /// first call after [`found`](Self::found).
    pub fn again(&mut self, now: Instant) -> bool {
        let pause = now.saturating_duration_since(*self.idle.get_or_insert(now));
        self.short == SHORT_PAUSES && pause < self.most
    }

    /// There is something to do, whether it was found awake or after a sleep.
    pub fn found(&mut self, now: Instant) {
        let Some(idle) = self.idle.take() else { return };
        let short = now.saturating_duration_since(idle) < self.most;
        self.short = if short {
            (self.short + 1).min(SHORT_PAUSES)
        } else {
            0
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_micros(200);

    /// What a thread does in pauses of these lengths, in microseconds, one after the other: for how
    /// long it looked again in each before it slept.
    fn awake(most: Duration, pauses: &[u64]) -> Vec<u64> {
        let (mut poll, mut now) = (BusyPoll::new(most), Instant::now());
        let mut awake = Vec::new();
        for &pause in pauses {
            let begin = now;
            let looked = (0..pause)
                .take_while(|&us| poll.again(begin + Duration::from_micros(us)))
                .count();
            now = begin + Duration::from_micros(pause);
            poll.found(now);
            awake.push(looked as u64);
        }
        awake
    }

    #[test]
    fn after_two_short_pauses_it_stays_awake_for_short_ones() {
        assert_eq!(awake(MOST, &[10, 20, 30, 40, 199]), [0, 0, 30, 40, 199]);
    }

    #[test]
    fn a_long_pause_ends_it_until_two_were_short_again() {
        assert_eq!(
            awake(MOST, &[10, 10, 5_000, 10, 10, 10]),
            [0, 0, 200, 0, 0, 10]
        );
    }

    #[test]
    fn who_is_asked_from_time_to_time_never_stays_awake() {
        assert_eq!(awake(MOST, &[5_000; 6]), [0; 6]);
        assert_eq!(awake(MOST, &[100, 1_000, 100, 1_000, 100, 1_000]), [0; 6]);
    }

    #[test]
    fn without_a_time_it_never_stays_awake() {
        assert_eq!(awake(Duration::ZERO, &[1; 5]), [0; 5]);
    }

    #[test]
    fn work_without_a_pause_between_changes_nothing() {
        let (mut poll, now) = (BusyPoll::new(MOST), Instant::now());
        (0..10).for_each(|_| poll.found(now));
        assert!(!poll.again(now));
    }
}
