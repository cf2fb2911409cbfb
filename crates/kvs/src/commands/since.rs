//! Times in the past on the command line: a duration ago, a date and time, or seconds since 1970.

use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use crate::quantity::duration;

/// A time from the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// This long before now.
    Ago(Duration),
    /// Milliseconds since 1970.
    At(u64),
}

impl Since {
    /// Parses `15m`, `2026-11-20T17:03:11+01:00`, `2026-11-20 17:03`, `2026-11-20` or
    /// `@1700000000.5`. A time without an offset is local.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        Self::parse_in(text, &TimeZone::system())
    }

    fn parse_in(text: &str, zone: &TimeZone) -> Result<Self, String> {
        let wrong = || {
            "not a duration such as 15m, a time such as 2026-11-20T17:03, or @SECONDS".to_owned()
        };
        if let Some(seconds) = text.strip_prefix('@') {
            let since = duration(seconds)
                .ok()
                .filter(|_| !seconds.contains(char::is_alphabetic));
            let since = since.ok_or_else(wrong)?;
            return Ok(Self::At(milliseconds(since)));
        }
        if let Ok(ago) = duration(text) {
            return Ok(Self::Ago(ago));
        }
        let local = || {
            let time: civil::DateTime = text.parse().ok()?;
            Some(time.to_zoned(zone.clone()).ok()?.timestamp())
        };
        let time = text
            .parse::<Timestamp>()
            .ok()
            .or_else(local)
            .ok_or_else(wrong)?;
        Ok(Self::At(u64::try_from(time.as_millisecond()).unwrap_or(0)))
    }

    /// The time; one before 1970 is taken as 1970.
    pub(super) fn time(self) -> SystemTime {
        let time = match self {
            Self::At(time_ms) => SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(time_ms)),
            Self::Ago(ago) => SystemTime::now().checked_sub(ago),
        };
        time.unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Since, String> {
        Since::parse_in(text, &TimeZone::UTC)
    }

    #[test]
    fn times_are_durations_dates_or_seconds() {
        assert_eq!(parse("15m"), Ok(Since::Ago(Duration::from_secs(900))));
        assert_eq!(parse("90"), Ok(Since::Ago(Duration::from_secs(90))));
        assert_eq!(parse("@1700000000.5"), Ok(Since::At(1_700_000_000_500)));
        let time = Ok(Since::At(1_763_654_580_000));
        assert_eq!(parse("2025-11-20T17:03:00+01:00"), time);
        assert_eq!(parse("2025-11-20T16:03:00Z"), time);
        assert_eq!(parse("2025-11-20 16:03"), time);
        assert_eq!(parse("2025-11-20"), Ok(Since::At(1_763_596_800_000)));
        assert_eq!(parse("1960-01-01"), Ok(Since::At(0)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "@",
            "@x",
            "@5m",
            "@-1",
            "yesterday",
            "2025-13-01",
            "-5m",
            "17:03",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
