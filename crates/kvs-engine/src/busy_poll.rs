//! Decides when an idle thread busy-polls instead of sleeping.
//!
//! Waking a thread takes about 10 µs if its processor is awake, and 30 to 60 µs if a virtual
//! machine has to be scheduled first: as long as the sync that a commit waits for. So a thread
//! under load busy-polls, yielding to other threads meanwhile, and one with rare requests sleeps.
//! Recent pauses decide which, as in the halt polling of hypervisors (`halt_poll_ns` of KVM).
//!
//! Yielding to a compute-bound thread is costly: it keeps the processor for milliseconds, whereas a
//! sleeping thread is woken at once. After that has happened, polling backs off for a while.

use std::time::{Duration, Instant};

/// Short pauses in a row before polling starts.
const SHORT_PAUSES: u8 = 2;

/// If yielding costs us the CPU for this long, a compute-bound thread took it.
const LOST: Duration = Duration::from_millis(1);

/// How long to back off after losing the CPU; doubled each time it is lost again soon after.
const WARY: Duration = Duration::from_millis(5);

/// Maximum backoff.
const WARY_MOST: Duration = Duration::from_secs(10);

/// The decision for one thread. All methods but [`give_way`](Self::give_way) are passed the time.
#[derive(Debug)]
pub struct BusyPoll {
    most: Duration,
    /// When the current pause began.
    idle: Option<Instant>,
    /// Consecutive short pauses, up to [`SHORT_PAUSES`].
    short: u8,
    /// When the CPU was last lost, and the backoff from then on.
    lost: Option<(Instant, Duration)>,
}

impl BusyPoll {
    /// Polls in pauses of up to `most`; zero disables polling.
    pub fn new(most: Duration) -> BusyPoll {
        BusyPoll {
            most,
            idle: None,
            short: 0,
            lost: None,
        }
    }

    /// Called when there is nothing to do: true to poll again, false to sleep. A pause begins with
    /// the first call after [`found`](Self::found).
    pub fn again(&mut self, now: Instant) -> bool {
        let since = |then| now.saturating_duration_since(then);
        let pause = since(*self.idle.get_or_insert(now));
        let wary = self.lost.is_some_and(|(lost, wary)| since(lost) < wary);
        self.short == SHORT_PAUSES && pause < self.most && !wary
    }

    /// Yields the CPU between two polls.
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

    /// Notes that the CPU was yielded for `time`.
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

    /// Called when there is something to do, found by polling or after a sleep.
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

    /// For successive pauses of these lengths in microseconds: how long the thread polled in each
    /// before it slept.
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

    /// Loses the CPU at once whenever it polls, for `in_all`. Returns the times without polling, in
    /// milliseconds.
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
        // The last loss is long past.
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
