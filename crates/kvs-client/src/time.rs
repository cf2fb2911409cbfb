//! Times of the wire, which are integers, as the types that programs use.

use std::time::{Duration, SystemTime};

/// The time that is so many milliseconds after the beginning of 1970.
pub(crate) fn wall_time(ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_millis(ms))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A length of time in whole milliseconds, rounded up, so that only zero becomes zero.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_of_time_has_milliseconds() {
        for (time, ms) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_millis(250), 250),
            (Duration::from_micros(1_000_001), 1001),
            (Duration::MAX, u64::MAX),
        ] {
            assert_eq!(milliseconds(time), ms);
        }
    }

    #[test]
    fn any_number_of_milliseconds_is_a_time() {
        let since = |ms| wall_time(ms).duration_since(SystemTime::UNIX_EPOCH);
        for ms in [0, 1, 1_700_000_000_250, u64::MAX] {
            assert_eq!(since(ms).ok(), Some(Duration::from_millis(ms)));
        }
    }
}
