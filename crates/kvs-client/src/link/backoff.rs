//! How long to pause between attempts to connect.

use crate::limits::BACKOFF_LONGEST;
use crate::options::Options;
use std::time::Duration;
use tokio::time::Instant;

/// Doubling pauses with jitter, until the time to reconnect is over. The jitter comes from the
/// client id, so that a simulation with fixed ids repeats itself.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    time: Option<Duration>,
    since: Option<Instant>,
    attempts: u32,
    random: u64,
}

impl Backoff {
    pub(crate) fn new(options: &Options, client: [u8; 16]) -> Self {
        let seed = u128::from_be_bytes(client);
        Backoff {
            min: options.backoff_min,
            max: options.backoff_max.min(BACKOFF_LONGEST),
            time: options.reconnect_time,
            since: None,
            attempts: 0,
            random: (seed ^ (seed >> 64)) as u64 | 1,
        }
    }

    /// The connection has proved itself: the next loss starts anew.
    pub(crate) fn reset(&mut self) {
        self.since = None;
        self.attempts = 0;
    }

    /// The pause before the next attempt, counted from the first failure; `None` if it is time to
    /// give up.
    pub(crate) fn pause(&mut self) -> Option<Duration> {
        let since = *self.since.get_or_insert_with(Instant::now);
        if self.time.is_some_and(|time| since.elapsed() >= time) {
            return None;
        }
        let doubled = self
            .min
            .saturating_mul(1u32.checked_shl(self.attempts).unwrap_or(u32::MAX));
        self.attempts = self.attempts.saturating_add(1).min(31);
        // From half the pause to all of it.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let part = 0.5 + (self.random >> 11) as f64 / (1u64 << 53) as f64 / 2.0;
        Some(doubled.min(self.max).mul_f64(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_option_makes_a_pause_that_cannot_be_waited_for() {
        for (min, max) in [
            (Duration::MAX, Duration::MAX),
            (Duration::ZERO, Duration::MAX),
            (Duration::MAX, Duration::ZERO),
        ] {
            let options = Options::new()
                .backoff(min, max)
                .reconnect_time(Duration::MAX);
            let mut backoff = Backoff::new(&options, [0xff; 16]);
            for _ in 0..100 {
                assert!(backoff.pause().unwrap() <= BACKOFF_LONGEST);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_the_longest_and_end() {
        let options = Options {
            reconnect_time: Some(Duration::from_secs(20)),
            ..Options::default()
        };
        let mut backoff = Backoff::new(&options, [7; 16]);
        let mut expected = options.backoff_min;
        let begun = Instant::now();
        while let Some(pause) = backoff.pause() {
            assert!(
                pause <= expected && pause >= expected / 2,
                "{pause:?} for {expected:?}"
            );
            expected = (expected * 2).min(options.backoff_max);
            tokio::time::advance(pause).await;
        }
        assert!(begun.elapsed() >= Duration::from_secs(20));
        backoff.reset();
        assert!(backoff.pause().is_some());
    }
}
