//! When a thread that has nothing to do looks again instead of sleeping.
//!
//! To wake a thread takes some 10 µs where its processor is awake, and 30 to 60 µs where a virtual
//! machine has to be given one first: as much as the sync that a commit waits for. So a thread that
//! is asked again and again waits awake, and gives its processor to whoever wants it meanwhile. One
//! that is asked from time to time sleeps. The past tells which of the two it is, as in the halt
//! polling of hypervisors (`halt_poll_ns` of KVM).
//!
//! Giving way is a mistake beside somebody who computes: he keeps the processor for milliseconds,
//! whatever comes in, while a thread that sleeps is woken at once. So after that happened nobody
//! waits awake for a while.

use std::time::{Duration, Instant};

/// Pauses in a row that must have been short.
const SHORT_PAUSES: u8 = 2;

/// Who keeps a processor that was given to him for so long computes, rather than to answer
/// somebody.
const LOST: Duration = Duration::from_millis(1);

/// How long nobody waits awake after a processor was lost so; twice as long each time that it is
/// lost again soon after.
const WARY: Duration = Duration::from_millis(5);

/// At most so long.
const WARY_MOST: Duration = Duration::from_secs(10);

/// Decides for one thread. All but [`give_way`](Self::give_way) is told the time.
#[derive(Debug)]
pub struct BusyPoll {
    most: Duration,
    /// Since when there is nothing to do.
    idle: Option<Instant>,
    /// Short pauses, one after the other, up to [`SHORT_PAUSES`].
    short: u8,
    /// When the processor was last lost to somebody who computes, and how long that is heeded.
    lost: Option<(Instant, Duration)>,
}

impl BusyPoll {
    /// For pauses of at most so long; with zero it always sleeps.
    pub fn new(most: Duration) -> BusyPoll {
        BusyPoll {
            most,
            idle: None,
            short: 0,
            lost: None,
        }
    }

    /// There is nothing to do: whether to look again rather than to sleep. The pause begins with
    /// the first call after [`found`](Self::found).
    pub fn again(&mut self, now: Instant) -> bool {
        let since = |then| now.saturating_duration_since(then);
        let pause = since(*self.idle.get_or_insert(now));
        let wary = self.lost.is_some_and(|(lost, wary)| since(lost) < wary);
        self.short == SHORT_PAUSES && pause < self.most && !wary
    }

    /// Gives the processor to another thread that wants it, between two looks.
    #[expect(
        clippy::disallowed_methods,
        reason = "it measures the scheduler, decides nothing else"
    )]
    pub fn give_way(&mut self) {
        let before = Instant::now();
        std::thread::yield_now();
        let now = Instant::now();
        self.gave_way(now, now.saturating_duration_since(before));
    }

    /// It was given away for so long.
    fn gave_way(&mut self, now: Instant, time: Duration) {
        if time < LOST {
            return;
        }
        let again = self
            .lost
            .filter(|(lost, wary)| now.saturating_duration_since(*lost) < *wary * 3);
        let wary = again.map_or(WARY, |(_, wary)| (wary * 2).min(WARY_MOST));
        self.lost = Some((now, wary));
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

    /// Loses the processor at once whenever it waits awake, for so long in all. For how long it did
    /// not wait awake each time, in milliseconds.
    fn wary(poll: &mut BusyPoll, now: &mut Instant, in_all: Duration) -> Vec<u128> {
        let (end, mut lost, mut wary) = (*now + in_all, *now, Vec::new());
        while *now < end {
            poll.again(*now);
            *now += Duration::from_micros(100);
            poll.found(*now);
            if poll.again(*now) {
                wary.push((*now - lost).as_millis());
                poll.gave_way(*now, LOST);
                lost = *now;
            }
        }
        wary
    }

    #[test]
    fn beside_somebody_who_computes_it_waits_awake_ever_more_rarely() {
        let (mut poll, mut now) = (BusyPoll::new(MOST), Instant::now());
        let first = wary(&mut poll, &mut now, Duration::from_secs(2));
        assert_eq!(first, [0, 5, 10, 20, 40, 80, 160, 320, 640]);
        let then = wary(&mut poll, &mut now, Duration::from_secs(60));
        assert_eq!(then.last(), Some(&WARY_MOST.as_millis()));
        // That was long ago.
        now += WARY_MOST * 3;
        let again = wary(&mut poll, &mut now, Duration::from_millis(20));
        assert_eq!(again, [0, 5, 10]);
    }

    #[test]
    fn who_has_the_processor_back_soon_goes_on_waiting_awake() {
        let (mut poll, mut now) = (BusyPoll::new(MOST), Instant::now());
        for _ in 0..100 {
            poll.again(now);
            now += Duration::from_micros(100);
            poll.found(now);
            poll.gave_way(now, LOST / 2);
        }
        assert!(poll.again(now));
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
